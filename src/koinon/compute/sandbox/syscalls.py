# SPDX-License-Identifier: Apache-2.0
"""Numbers of the system calls a program in the sandbox is refused, on x86_64 and aarch64.

Source: the kernel's ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
A call that an architecture lacks has None.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = 450
"""Calls numbered above (set_mempolicy_home_node, Linux 5.17) are unknown here, so they do not exist inside.

The bit that marks x32 calls on x86_64 (0x40000000) is above it too.
"""

# name: (x86_64, aarch64)
Numbers = dict[str, tuple[int | None, int | None]]

ABSENT: Final[Numbers] = {  # answered with ENOSYS: libraries try them and know another way
    "clone3": (435, 435),  # its flags are behind a pointer, where a filter cannot look
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "io_destroy": (207, 1),
    "io_getevents": (208, 4),
    "io_submit": (209, 2),
    "io_cancel": (210, 3),
    "io_pgetevents": (333, 292),
    "memfd_create": (319, 279),  # memory that no limit on a process counts
    "memfd_secret": (447, 447),
    "userfaultfd": (323, 282),
    "remap_file_pages": (216, 234),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "sysfs": (139, None),
    "uselib": (134, None),
}

FORBIDDEN: Final[Numbers] = {  # answered with EPERM
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "vmsplice": (278, 75),
    "shmget": (29, 194),  # System V and POSIX queues: kernel memory outside every limit on a process
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}

CLONE: Final = (56, 220)
SOCKET: Final = (41, 198)
SOCKETPAIR: Final = (53, 199)
IOCTL: Final = (16, 29)
