/* SPDX-License-Identifier: MIT */
/* Which profile a machine's storage gets, on machines that consist of a table. */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "driver/local/detect.h"

/* What the machine's /sys says: path and content ("" is a directory). */
struct entry {
    const char *path, *text;
};

struct machine {
    uint64_t magic;
    uint32_t major, minor;
    const struct entry *entries;
    const struct entry *links;
};

static const struct machine *machine;

static const char *lookup(const struct entry *entries, const char *path)
{
    for (; entries && entries->path; entries++)
        if (strcmp(entries->path, path) == 0)
            return entries->text;
    return NULL;
}

static int fake_open(int dirfd, const char *path, int flags, bool beneath)
{
    const struct entry *entry = machine->entries;

    (void)dirfd;
    (void)flags;
    (void)beneath;
    for (int i = 0; entry && entry[i].path; i++)
        if (strcmp(entry[i].path, path) == 0)
            return 100 + i;
    return -ENOENT;
}

static void fake_close(int fd)
{
    assert_true(fd >= 100);
}

static int fake_stat_fd(int fd, struct os_stat *out)
{
    assert_int_equal(fd, 3);
    memset(out, 0, sizeof(*out));
    out->device = (uint64_t)machine->major << 32 | machine->minor;
    return 0;
}

static int fake_fs_type(int fd, uint64_t *magic)
{
    assert_int_equal(fd, 3);
    if (machine->magic == 0)
        return -ENOSYS;
    *magic = machine->magic;
    return 0;
}

static int fake_read_dir(int fd, int (*each)(const struct os_dir_entry *entry, void *data),
                         void *data)
{
    const char *text = machine->entries[fd - 100].text;
    char name[64];
    int used;

    while (sscanf(text, "%63s%n", name, &used) == 1) {
        struct os_dir_entry entry = {.name = name, .is_directory = true};
        int status = each(&entry, data);
        if (status)
            return status;
        text += used;
    }
    return 0;
}

static int fake_text(const struct entry *entries, const char *path, char *out, size_t bytes)
{
    const char *text = lookup(entries, path);

    if (!text)
        return -ENOENT;
    snprintf(out, bytes, "%s", text);
    return (int)strlen(out);
}

static int fake_read_text(const char *path, char *out, size_t bytes)
{
    return fake_text(machine->entries, path, out, bytes);
}

static int fake_read_link(const char *path, char *out, size_t bytes)
{
    return fake_text(machine->links, path, out, bytes);
}

static const struct loop_os fake_os = {
    .open = fake_open,
    .close = fake_close,
    .stat_fd = fake_stat_fd,
    .fs_type = fake_fs_type,
    .read_dir = fake_read_dir,
    .read_text = fake_read_text,
    .read_link = fake_read_link,
};

static void expect(const struct machine *which, const char *profile, bool remote,
                   const char *in_reason)
{
    struct plan_profile found;
    bool found_remote = !remote;

    machine = which;
    memset(&found, 0xee, sizeof(found));
    assert_int_equal(local_detect(&fake_os, 3, &found, &found_remote), 0);
    assert_string_equal(found.name, profile);
    assert_int_equal(found_remote, remote);
    if (!strstr(found.reason, in_reason))
        fail_msg("reason \"%s\" lacks \"%s\"", found.reason, in_reason);
}

#define EXT4 0xef53
#define DEV  "/sys/dev/block/"

static void virtio_rotational_is_not_hdd(void **state)
{
    static const struct entry links[] = {
        {DEV "254:1", "../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda1"}, {0}};
    static const struct entry entries[] = {
        {DEV "254:1/partition", "1"}, {DEV "254:1/../queue/rotational", "1"}, {0}};
    const struct machine m = {EXT4, 254, 1, entries, links};

    (void)state;
    expect(&m, "ssd", false, "vda (virtio");
}

static void virtio_scsi_is_not_hdd(void **state)
{
    static const struct entry links[] = {
        {DEV "8:0",
         "../../devices/pci0000:00/0000:00:03.0/virtio0/host0/target0:0:1/0:0:1:0/block/sda"},
        {0}};
    static const struct entry entries[] = {{DEV "8:0/queue/rotational", "1"}, {0}};
    const struct machine m = {EXT4, 8, 0, entries, links};

    (void)state;
    expect(&m, "ssd", false, "virtio");
}

static void xen_nbd_loop_are_not_hdd(void **state)
{
    static const struct entry links[] = {{DEV "202:1", "../../devices/vbd-51712/block/xvda/xvda1"},
                                         {DEV "43:0", "../../devices/virtual/block/nbd0"},
                                         {DEV "7:3", "../../devices/virtual/block/loop3"},
                                         {0}};
    static const struct entry entries[] = {{DEV "202:1/partition", "1"},
                                           {DEV "202:1/../queue/rotational", "1"},
                                           {DEV "43:0/queue/rotational", "1"},
                                           {DEV "7:3/queue/rotational", "1"},
                                           {0}};
    const struct machine xen = {EXT4, 202, 1, entries, links};
    const struct machine nbd = {EXT4, 43, 0, entries, links};
    const struct machine loop = {EXT4, 7, 3, entries, links};

    (void)state;
    expect(&xen, "ssd", false, "xen");
    expect(&nbd, "ssd", false, "nbd0");
    expect(&loop, "ssd", false, "loop3");
}

static void nvme(void **state)
{
    static const struct entry links[] = {
        {DEV "259:2",
         "../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1/nvme0n1p2"},
        {0}};
    static const struct entry entries[] = {
        {DEV "259:2/partition", "2"}, {DEV "259:2/../queue/rotational", "0"}, {0}};
    const struct machine m = {EXT4, 259, 2, entries, links};

    (void)state;
    expect(&m, "nvme", false, "ext4 on nvme0n1");
}

static const struct entry sata_links[] = {
    {DEV "8:1",
     "../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1"},
    {DEV "8:16", "../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb"},
    {0}};

static void sata(void **state)
{
    static const struct entry entries[] = {{DEV "8:1/partition", "1"},
                                           {DEV "8:1/../queue/rotational", "0"},
                                           {DEV "8:16/queue/rotational", "1"},
                                           {0}};
    const struct machine ssd = {0x58465342, 8, 1, entries, sata_links};
    const struct machine hdd = {0x58465342, 8, 16, entries, sata_links};

    (void)state;
    expect(&ssd, "ssd", false, "xfs on sda, which does not rotate");
    expect(&hdd, "hdd", false, "xfs on sdb, which rotates");
}

static void built_on_others(void **state)
{
    static const struct entry links[] = {
        {DEV "253:0", "../../devices/virtual/block/dm-0"},
        {DEV "253:1", "../../devices/virtual/block/dm-1"},
        {DEV "253:2", "../../devices/virtual/block/dm-2"},
        {DEV "9:0", "../../devices/virtual/block/md0"},
        {"/sys/class/block/dm-1", "../../devices/virtual/block/dm-1"},
        {"/sys/class/block/vda2", "../../devices/pci0000:00/virtio2/block/vda/vda2"},
        {"/sys/class/block/sdb", "../../devices/pci0000:00/ata2/host1/block/sdb"},
        {"/sys/class/block/sdc", "../../devices/pci0000:00/ata3/host2/block/sdc"},
        {"/sys/class/block/nvme0n1", "../../devices/pci0000:00/nvme/nvme0/nvme0n1"},
        {"/sys/class/block/nvme1n1", "../../devices/pci0000:00/nvme/nvme1/nvme1n1"},
        {0}};
    static const struct entry entries[] = {
        {DEV "253:0/queue/rotational", "1"}, /* on dm-1, on virtio */
        {DEV "253:0/slaves", "dm-1"},
        {"/sys/class/block/dm-1/slaves", "vda2"},
        {"/sys/class/block/vda2/partition", "2"},
        {DEV "253:1/queue/rotational", "1"}, /* on real disks */
        {DEV "253:1/slaves", "sdb sdc"},
        {DEV "253:2/queue/rotational", "0"}, /* on nvme */
        {DEV "253:2/slaves", "nvme0n1 nvme1n1"},
        {DEV "9:0/queue/rotational", "1"}, /* on a mixture */
        {DEV "9:0/slaves", "nvme0n1 sdb"},
        {0}};
    const struct machine virtio = {EXT4, 253, 0, entries, links};
    const struct machine disks = {EXT4, 253, 1, entries, links};
    const struct machine all_nvme = {EXT4, 253, 2, entries, links};
    const struct machine mixed = {EXT4, 9, 0, entries, links};

    (void)state;
    expect(&virtio, "ssd", false, "dm-0 (virtio");
    expect(&disks, "hdd", false, "dm-1, which rotates");
    expect(&all_nvme, "nvme", false, "dm-2");
    expect(&mixed, "hdd", false, "md0");
}

static void built_on_itself_ends(void **state)
{
    static const struct entry links[] = {
        {DEV "253:0", "../../devices/virtual/block/dm-0"},
        {"/sys/class/block/dm-0", "../../devices/virtual/block/dm-0"},
        {0}};
    static const struct entry entries[] = {
        {DEV "253:0/slaves", "dm-0 dm-0"}, {"/sys/class/block/dm-0/slaves", "dm-0 dm-0"}, {0}};
    const struct machine m = {EXT4, 253, 0, entries, links};

    (void)state;
    expect(&m, "ssd", false, "does not say");
}

static void anonymous_devices(void **state)
{
    const struct machine overlay = {0x794c7630, 0, 45, NULL, NULL};
    const struct machine btrfs = {0x9123683e, 0, 30, NULL, NULL};
    const struct machine unknown = {0x12345678, 0, 30, NULL, NULL};
    const struct machine mute = {0, 8, 1, NULL, NULL};
    const struct machine no_sys = {EXT4, 8, 1, NULL, NULL};

    (void)state;
    expect(&overlay, "ssd", false, "overlay");
    expect(&btrfs, "ssd", false, "btrfs");
    expect(&unknown, "ssd", false, "without a block device");
    expect(&mute, "ssd", false, "does not say what it is");
    expect(&no_sys, "ssd", false, "not in /sys");
}

static void network_and_memory(void **state)
{
    static const struct {
        uint64_t magic;
        const char *profile, *reason;
        bool remote;
    } cases[] = {
        {0x6969, "hpc", "nfs", true},
        {0x0bd00bd0, "hpc", "lustre", true},
        {0x47504653, "hpc", "gpfs", true},
        {0x19830326, "hpc", "beegfs", true},
        {0x00c36400, "hpc", "cephfs", true},
        {0x65735546, "hpc", "fuse", true},
        {0xffffffffff534d42, "hpc", "cifs", true},
        {0x01021994, "memory", "tmpfs", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct machine m = {cases[i].magic, 0, 50, NULL, NULL};
        expect(&m, cases[i].profile, cases[i].remote, cases[i].reason);
    }
}

static void this_machine(void **state)
{
    struct plan_profile profile;
    bool remote;
    int fd = loop_os_linux.open(-100, "/", 0, false);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(local_detect(&loop_os_linux, fd, &profile, &remote), 0);
    loop_os_linux.close(fd);
    assert_true(profile.name[0] && profile.reason[0]);
    print_message("this machine: %s: %s\n", profile.name, profile.reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtio_rotational_is_not_hdd),
        cmocka_unit_test(virtio_scsi_is_not_hdd),
        cmocka_unit_test(xen_nbd_loop_are_not_hdd),
        cmocka_unit_test(nvme),
        cmocka_unit_test(sata),
        cmocka_unit_test(built_on_others),
        cmocka_unit_test(built_on_itself_ends),
        cmocka_unit_test(anonymous_devices),
        cmocka_unit_test(network_and_memory),
        cmocka_unit_test(this_machine),
    };

    return cmocka_run_group_tests_name("local detect", tests, NULL, NULL);
}
