"""Which disks, interfaces and file systems count, so that no byte is counted twice: as our agent has it. Pure."""

import re

# Partitions, RAID, volumes and loop devices pass on what whole disks do.
_NO_WHOLE_DISK = re.compile(r"(z?ram|loop|fd|sr|dm-|md)\d+|(h|s|v|xv)d[a-z]+\d+|(nvme\d+n|mmcblk)\d+p\d+")
_VIRTUAL_INTERFACES = (
    *("lo", "veth", "docker", "br-", "virbr", "vmbr", "cni", "flannel", "cali", "tap", "tun", "wg", "ifb", "dummy"),
    *("awdl", "bridge", "gif", "llw", "stf", "utun"),
)
# Images are always full; the others are views of storage that is counted elsewhere, or of memory.
_NO_STORAGE = frozenset(
    [
        "squashfs",
        "erofs",
        "iso9660",
        "udf",
        "cramfs",
        "romfs",
        "overlay",
        "aufs",
        "tmpfs",
        "devtmpfs",
        "ramfs",
        "autofs",
        "proc",
        "sysfs",
        "cgroup",
        "cgroup2",
        "devpts",
        "mqueue",
        "debugfs",
        "tracefs",
        "nsfs",
        "securityfs",
        "pstore",
        "bpf",
        "configfs",
        "fusectl",
        "hugetlbfs",
        "binfmt_misc",
        "rpc_pipefs",
        "efivarfs",
        "fuse.lxcfs",
    ]
)


def is_whole_disk(name: str) -> bool:
    """Whether what is read from and written to that device is so nowhere else as well."""
    return _NO_WHOLE_DISK.fullmatch(name) is None


def is_real_interface(name: str) -> bool:
    """Whether the traffic of that interface is the machine's own."""
    return not name.startswith(_VIRTUAL_INTERFACES)


def is_storage(filesystem: str) -> bool:
    """Whether file systems of that type hold what fills up."""
    return filesystem not in _NO_STORAGE
