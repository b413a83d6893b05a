"""What kind of machine this is."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster_agent.collectors.virtualization import virtualization


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/cpuinfo": "flags : fpu sse\n", **files}.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "none"),
        ({"sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}, "none"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "qemu"),
        ({"sys/class/dmi/id/product_name": "KVM\n", "sys/class/dmi/id/sys_vendor": "Red Hat\n"}, "kvm"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc.\n"}, "vmware"),
        ({"sys/class/dmi/id/product_name": "VirtualBox\n"}, "virtualbox"),
        (
            {
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
                "sys/class/dmi/id/product_name": "Virtual Machine\n",
            },
            "hyper-v",
        ),
        (
            {
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
                "sys/class/dmi/id/product_name": "Surface Laptop\n",
            },
            "none",
        ),
        ({"sys/class/dmi/id/sys_vendor": "Hetzner\n", "sys/class/dmi/id/product_name": "vServer\n"}, "kvm"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "sys/class/dmi/id/product_name": "m5.large\n"}, "amazon"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "sys/class/dmi/id/product_name": "c5.metal\n"}, "none"),
        ({"proc/self/mounts": "lxcfs /proc/uptime fuse.lxcfs rw 0 0\n"}, "lxc"),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n"}, "none"),
        ({"proc/cpuinfo": "flags\t\t: fpu hypervisor lm\n"}, "vm"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"proc/vz": ""}, "openvz"),
        ({".dockerenv": "", "sys/class/dmi/id/sys_vendor": "QEMU\n"}, "docker"),
    ],
)
def test_it_is_told_from_what_the_kernel_shows(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert expected == virtualization(machine(tmp_path, files))


def test_a_system_that_shows_nothing_is_unknown(tmp_path: Path) -> None:
    assert None is virtualization(tmp_path)
