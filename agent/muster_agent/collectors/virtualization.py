"""Whether this machine is a container or a virtual one, from what the kernel shows without running a command."""

from __future__ import annotations

from pathlib import Path

from muster_agent.collectors.kernel_files import text_of

# What firmware calls itself there, and the name that people know the hypervisor by.
# As in systemd's detection: https://www.freedesktop.org/software/systemd/man/latest/systemd-detect-virt.html
VENDORS = (
    ("kvm", "kvm"),
    ("openstack", "kvm"),
    ("hetzner vserver", "kvm"),
    ("digitalocean droplet", "kvm"),
    ("alibaba cloud ecs", "kvm"),
    ("apple virtualization", "apple"),
    ("amazon ec2", "amazon"),
    ("google compute engine", "google"),
    ("qemu", "qemu"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("xen", "xen"),
    ("bochs", "bochs"),
    ("parallels", "parallels"),
    ("bhyve", "bhyve"),
    ("microsoft corporation virtual", "hyper-v"),
)


def virtualization(root: Path = Path("/")) -> str | None:
    """Give `docker`, `lxc`, `kvm`, `vmware`, …; `vm` for an unknown hypervisor; `none`; None where it cannot be told.

    A container in a virtual machine is given as the container. `root` is where the machine's files begin.
    """
    if not (root / "proc/cpuinfo").exists():
        return None
    return _container(root) or _hypervisor(root) or "none"


def _container(root: Path) -> str | None:
    # Container engines tell it to systemd there, also when another init runs.
    engine = text_of(root / "run/systemd/container")
    if engine:
        return engine.lower()
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "proc/vz").exists() and not (root / "proc/bc").exists():
        return "openvz"
    # where another init runs, LXC is seen by the files that it shows instead of the kernel's
    return "lxc" if " fuse.lxcfs " in text_of(root / "proc/self/mounts") else None


def _hypervisor(root: Path) -> str | None:
    firmware = " ".join(
        text_of(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name", "bios_vendor")
    ).lower()
    if "amazon ec2" in firmware and ".metal" in firmware:
        return None
    for mark, name in VENDORS:
        if mark in firmware:
            return name
    # The kernel's own word for it, on machines without such firmware; Xen's first domain is the host.
    kind = text_of(root / "sys/hypervisor/type")
    if kind and "control_d" not in text_of(root / "proc/xen/capabilities"):
        return kind
    flags = [line for line in text_of(root / "proc/cpuinfo").splitlines() if line.startswith("flags")]
    return "vm" if flags and "hypervisor" in flags[0].split() else None
