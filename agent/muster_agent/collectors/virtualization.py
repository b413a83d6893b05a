"""Whether this machine is a container or a virtual one, from what the kernel shows without running a command."""

from __future__ import annotations

from pathlib import Path

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
    engine = _text(root / "run/systemd/container")
    if engine:
        return engine.lower()
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "proc/vz").exists() and not (root / "proc/bc").exists():
        return "openvz"
    # where another init runs, LXC is seen by the files that it shows instead of the kernel's
    return "lxc" if " fuse.lxcfs " in _text(root / "proc/self/mounts") else None


def _hypervisor(root: Path) -> str | None:
    firmware = " ".join(
        _text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name", "bios_vendor")
    ).lower()
    if "amazon ec2" in firmware and ".metal" in firmware:
        return None
    for mark, name in VENDORS:
        if mark in firmware:
            return name
    # The kernel's own word for it, on machines without such firmware; Xen's first domain is the host.
    kind = _text(root / "sys/hypervisor/type")
    if kind and "control_d" not in _text(root / "proc/xen/capabilities"):
        return kind
    flags = [line for line in _text(root / "proc/cpuinfo").splitlines() if line.startswith("flags")]
    return "vm" if flags and "hypervisor" in flags[0].split() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        # Missing, or not for us to read: one sign fewer.
        return ""
