/* SPDX-License-Identifier: MIT */
/*
 * detect.c - the profile of a directory, from its file system's type and its block device.
 *
 * Three questions, in this order:
 *   1. Is it a network, cluster or user-space file system (statfs type)? Then hpc, and remote. In
 *      memory? Then memory.
 *   2. Has it a block device? Overlay, btrfs, zfs and others have an anonymous one (major 0): ssd.
 *   3. Does that device seek? Only if queue/rotational is 1 and the device is a real one: virtual
 *      disks (virtio, xen, hyper-v, nbd, loop) say 1 because nobody told them otherwise. A
 *      partition is asked through its disk; dm and md are as real as the least real disk that they
 *      are built on.
 *
 * Everything comes from loop_os, so a test can play any machine. Runs inside lsio_store_open().
 */
#define _GNU_SOURCE /* AT_FDCWD */

#include "driver/local/detect.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLAVES_MAX 8u
#define DEPTH_MAX  6u /* of devices built on devices */
#define NAME_BYTES 64u
#define BASE_BYTES 112u /* of a device's entry in /sys */
#define PATH_BYTES 256u
#define LINK_BYTES 1024u

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------------------- file systems -- */

struct fs_kind {
    uint64_t magic;
    const char *name;
    const char *profile;
    bool remote;
};

static const struct fs_kind fs_kinds[] = {
    {0x00006969, "nfs", "hpc", true},
    {0x0bd00bd0, "lustre", "hpc", true},
    {0x47504653, "gpfs", "hpc", true},
    {0x19830326, "beegfs", "hpc", true},
    {0x00c36400, "cephfs", "hpc", true},
    {0x65735546, "fuse", "hpc", true},
    {0xfe534d42, "smb2", "hpc", true},
    {0xff534d42, "cifs", "hpc", true},
    {0x0000517b, "smb", "hpc", true},
    {0x5346414f, "afs", "hpc", true},
    {0x01021997, "9p", "hpc", true},
    {0x7461636f, "ocfs2", "hpc", true},
    {0x01161970, "gfs2", "hpc", true},
    {0xaad7aaea, "panfs", "hpc", true},
    {0x20030528, "orangefs", "hpc", true},
    {0x0000564c, "ncp", "hpc", true},
    {0x73757245, "coda", "hpc", true},
    {0x786f4256, "vboxsf", "hpc", true},
    {0x01021994, "tmpfs", "memory", false},
    {0x858458f6, "ramfs", "memory", false},
    {0x958458f6, "hugetlbfs", "memory", false},
};

/* Names for the reason only. */
static const struct fs_kind fs_disk_kinds[] = {
    {0x0000ef53, "ext4", NULL, false},     {0x58465342, "xfs", NULL, false},
    {0x9123683e, "btrfs", NULL, false},    {0x2fc12fc1, "zfs", NULL, false},
    {0x794c7630, "overlay", NULL, false},  {0xf2f52010, "f2fs", NULL, false},
    {0xca451a4e, "bcachefs", NULL, false}, {0x73717368, "squashfs", NULL, false},
};

static const struct fs_kind *fs_find(const struct fs_kind *kinds, size_t count, uint64_t magic)
{
    for (size_t i = 0; i < count; i++)
        if (kinds[i].magic == (magic & 0xffffffffu))
            return &kinds[i];
    return NULL;
}

/* --------------------------------------------------------------------------------- devices -- */

struct device {
    char name[NAME_BYTES]; /* of the disk, such as sda */
    int rotational;        /* as it says; -1: it does not */
    bool is_virtual;       /* it cannot know */
    bool is_nvme;
    char virtual_why[16];
};

/* A device that is a name such as virtio3 in its path, or begins with a driver's prefix. */
static const struct {
    const char *in_path, *prefix, *why;
} virtual_marks[] = {
    {"/virtio", "vd", "virtio"},
    {"/xen", "xvd", "xen"},
    {"/vbd-", "xvd", "xen"},
    {"/VMBUS", NULL, "hyper-v"},
    {"/vmbus", NULL, "hyper-v"},
    {"/virtual/block/nbd", "nbd", "nbd"},
    {"/virtual/block/loop", "loop", "loop"},
    {NULL, "ublk", "ublk"},
    {NULL, "zram", "memory"},
    {NULL, "ram", "memory"},
    {NULL, "rbd", "rbd"},
};

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "1" or "0" in a file of /sys; -1 if it cannot be read. */
static int read_flag(const struct loop_os *os, const char *base, const char *file)
{
    char path[PATH_BYTES];
    char text[16];

    snprintf(path, sizeof(path), "%s/%s", base, file);
    if (os->read_text(path, text, sizeof(text)) <= 0)
        return -1;
    return text[0] == '1' ? 1 : text[0] == '0' ? 0 : -1;
}

static void mark_virtual(struct device *device, const char *link)
{
    for (size_t i = 0; i < COUNT_OF(virtual_marks); i++) {
        if ((virtual_marks[i].in_path && strstr(link, virtual_marks[i].in_path)) ||
            (virtual_marks[i].prefix && begins_with(device->name, virtual_marks[i].prefix))) {
            device->is_virtual = true;
            snprintf(device->virtual_why, sizeof(device->virtual_why), "%s", virtual_marks[i].why);
            return;
        }
    }
}

/* The last part of a path. */
static void name_of(const char *path, size_t bytes, char *out)
{
    size_t begin = bytes;

    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (bytes - begin >= NAME_BYTES)
        bytes = begin + NAME_BYTES - 1;
    memcpy(out, path + begin, bytes - begin);
    out[bytes - begin] = '\0';
}

struct slaves {
    char names[SLAVES_MAX][NAME_BYTES];
    unsigned count;
};

static int slave_add(const struct os_dir_entry *entry, void *data)
{
    struct slaves *slaves = data;

    if (slaves->count < SLAVES_MAX)
        snprintf(slaves->names[slaves->count++], NAME_BYTES, "%s", entry->name);
    return 0;
}

static void slaves_find(const struct loop_os *os, const char *base, struct slaves *slaves)
{
    char path[PATH_BYTES];
    int fd;

    slaves->count = 0;
    snprintf(path, sizeof(path), "%s/slaves", base);
    fd = os->open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, false);
    if (fd < 0)
        return;
    (void)os->read_dir(fd, slave_add, slaves);
    os->close(fd);
}

static void device_look(const struct loop_os *os, const char *base, unsigned depth,
                        struct device *device);

/* What a device is built on decides what it is: virtual if any part is, nvme if all are. */
static void device_combine(const struct loop_os *os, const struct slaves *slaves, unsigned depth,
                           struct device *device)
{
    bool all_nvme = slaves->count > 0;

    for (unsigned i = 0; i < slaves->count; i++) {
        struct device part;
        char base[BASE_BYTES];
        snprintf(base, sizeof(base), "/sys/class/block/%s", slaves->names[i]);
        device_look(os, base, depth + 1, &part);
        all_nvme = all_nvme && part.is_nvme;
        if (part.is_virtual && !device->is_virtual) {
            device->is_virtual = true;
            memcpy(device->virtual_why, part.virtual_why, sizeof(device->virtual_why));
        }
    }
    if (slaves->count > 0)
        device->is_nvme = all_nvme;
}

/* `base` is the device's entry in /sys, a symbolic link. */
static void device_look(const struct loop_os *os, const char *base, unsigned depth,
                        struct device *device)
{
    char link[LINK_BYTES];
    char disk[BASE_BYTES + 16];
    struct slaves slaves;
    size_t bytes;
    int partition;

    memset(device, 0, sizeof(*device));
    device->rotational = -1;
    if (os->read_link(base, link, sizeof(link)) < 0)
        return;
    bytes = strlen(link);
    snprintf(disk, sizeof(disk), "%s/partition", base);
    partition = os->read_text(disk, device->name, sizeof(device->name)) > 0;
    if (partition) { /* its disk is the directory above */
        while (bytes > 0 && link[bytes - 1] != '/')
            bytes--;
        bytes -= bytes > 0;
    }
    name_of(link, bytes, device->name);
    snprintf(disk, sizeof(disk), "%s%s", base, partition ? "/.." : "");
    device->rotational = read_flag(os, disk, "queue/rotational");
    device->is_nvme = begins_with(device->name, "nvme");
    mark_virtual(device, link);
    if (depth < DEPTH_MAX) {
        slaves_find(os, disk, &slaves);
        device_combine(os, &slaves, depth, device);
    }
}

/* --------------------------------------------------------------------------------- verdict -- */

static int decide(struct plan_profile *profile, const char *name, const char *reason)
{
    int status = plan_profile_builtin(name, profile);

    if (status == 0)
        snprintf(profile->reason, sizeof(profile->reason), "%.*s", (int)sizeof(profile->reason) - 1,
                 reason);
    return status;
}

static int decide_by_device(const struct loop_os *os, const char *fs, const struct os_stat *stat,
                            struct plan_profile *profile)
{
    char text[256];
    char base[BASE_BYTES];
    struct device device;
    const char *name = "ssd";

    snprintf(base, sizeof(base), "/sys/dev/block/%" PRIu32 ":%" PRIu32,
             (uint32_t)(stat->device >> 32), (uint32_t)stat->device);
    device_look(os, base, 0, &device);
    if (device.name[0] == '\0') {
        snprintf(text, sizeof(text), "%s: its device is not in /sys", fs);
    } else if (device.is_nvme) {
        name = "nvme";
        snprintf(text, sizeof(text), "%s on %s", fs, device.name);
    } else if (device.is_virtual) {
        snprintf(text, sizeof(text), "%s on %s (%s: what it says of seeking is not believed)", fs,
                 device.name, device.virtual_why);
    } else if (device.rotational == 1) {
        name = "hdd";
        snprintf(text, sizeof(text), "%s on %s, which rotates", fs, device.name);
    } else {
        snprintf(text, sizeof(text), "%s on %s, which %s", fs, device.name,
                 device.rotational == 0 ? "does not rotate" : "does not say whether it rotates");
    }
    return decide(profile, name, text);
}

int local_detect(const struct loop_os *os, int fd, struct plan_profile *profile, bool *remote)
{
    const struct fs_kind *kind;
    struct os_stat stat;
    char text[64];
    const char *fs = "file system";
    uint64_t magic = 0;

    *remote = false;
    if (os->fs_type(fd, &magic) < 0)
        return decide(profile, "ssd", "the file system does not say what it is");
    kind = fs_find(fs_kinds, COUNT_OF(fs_kinds), magic);
    if (kind) {
        *remote = kind->remote;
        snprintf(text, sizeof(text), "%s file system", kind->name);
        return decide(profile, kind->profile, text);
    }
    kind = fs_find(fs_disk_kinds, COUNT_OF(fs_disk_kinds), magic);
    if (kind)
        fs = kind->name;
    if (os->stat_fd(fd, &stat) < 0 || stat.device >> 32 == 0) {
        snprintf(text, sizeof(text), "%s without a block device of its own", fs);
        return decide(profile, "ssd", text);
    }
    return decide_by_device(os, fs, &stat, profile);
}
