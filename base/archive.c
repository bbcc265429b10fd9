#include "base/archive.h"

#include "lib/cleanup.h"
#include "lib/durable.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum {
    COPY_BYTES = 64 * 1024,
    /* The overhead of an entry: header, padding, a long name. */
    ENTRY_OVERHEAD_BYTES = 4096,
};

static int libarchive_failed(struct archive *archive, const char *what, struct error *err)
{
    int code = archive_errno(archive);
    const char *text = archive_error_string(archive);
    if (code > 0 && code < ERANGE && code != EINVAL) {
        errno = code;
        return error_errno(err, "%s", what);
    }
    return error_set(err, ERROR_PERMANENT, EINVAL, "%s: %s", what, text ? text : "unknown reason");
}

static void cleanup_writer(struct archive **archive)
{
    archive_write_free(*archive);
}

static void cleanup_reader(struct archive **archive)
{
    archive_read_free(*archive);
}

static void cleanup_entry(struct archive_entry **entry)
{
    archive_entry_free(*entry);
}

static int pack_content(struct archive *archive, int fd, int64_t size, struct error *err)
{
    TEXT(buffer) = must_malloc(COPY_BYTES);
    while (size > 0) {
        ssize_t got = read(fd, buffer, size < COPY_BYTES ? (size_t)size : COPY_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, "cannot read");
        if (got == 0)
            return error_set(err, ERROR_PERMANENT, EINVAL, "it shrank while it was read");
        if (archive_write_data(archive, buffer, (size_t)got) != got)
            return libarchive_failed(archive, "cannot write", err);
        size -= got;
    }
    return 0;
}

static int pack_file(struct archive *archive, int dir, const char *name, struct error *err)
{
    struct stat status;
    FD(fd) = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(err, "cannot open");
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_PERMANENT, EINVAL, "not a regular file");

    /* Nothing about the node gets into the archive, and the same files give the same bytes. Files
     * keep their times: a stock server unpacks them with it and derives Last-Modified and ETag from
     * it. */
    CLEANUP(cleanup_entry) struct archive_entry *entry = archive_entry_new();
    must(entry);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, status.st_size);
    archive_entry_set_mtime(entry, status.st_mtim.tv_sec, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    if (archive_write_header(archive, entry) != ARCHIVE_OK)
        return libarchive_failed(archive, "cannot write", err);
    return pack_content(archive, fd, status.st_size, err);
}

int archive_pack(int dir, const char *const names[], size_t count, int out_fd, struct error *err)
{
    CLEANUP(cleanup_writer) struct archive *archive = archive_write_new();
    must(archive);
    /* Media do not compress: use the lowest level. NULL: no timestamp in the gzip header. */
    if (archive_write_add_filter_gzip(archive) != ARCHIVE_OK ||
        archive_write_set_filter_option(archive, "gzip", "compression-level", "1") != ARCHIVE_OK ||
        archive_write_set_filter_option(archive, "gzip", "timestamp", NULL) != ARCHIVE_OK ||
        archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(archive, 1) != ARCHIVE_OK ||
        archive_write_open_fd(archive, out_fd) != ARCHIVE_OK)
        return libarchive_failed(archive, "cannot start a tar.gz", err);
    for (size_t i = 0; i < count; i++)
        if (pack_file(archive, dir, names[i], err) < 0)
            return error_wrap(err, "%s", names[i]);
    if (archive_write_close(archive) != ARCHIVE_OK)
        return libarchive_failed(archive, "cannot end the tar.gz", err);
    return 0;
}

struct unpacking {
    struct archive *archive;
    struct archive_limits limits;
    int64_t bytes;
    int entries;
    archive_place *place;
    void *ctx;
};

/* Invalid contents are never an error of ours: EINVAL, unless the archive could not be read at all.
 */
static int malformed(struct archive *archive, struct error *err)
{
    const char *text = archive_error_string(archive);
    if (archive_errno(archive) == EIO)
        return error_set(err, ERROR_TEMPORARY, EIO, "cannot read the archive");
    return error_set(err, ERROR_PERMANENT, EINVAL, "not an acceptable tar.gz: %s",
                     text ? text : "unknown reason");
}

static int over_limit(const struct unpacking *unpacking, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, EFBIG,
                     "the archive contains more than %lld bytes or %d entries",
                     (long long)unpacking->limits.max_bytes, unpacking->limits.max_files);
}

/* Headers can be a bomb, too: long names and attributes are unpacked before we see them. */
static bool is_over_limit(const struct unpacking *unpacking)
{
    int64_t overhead = ((int64_t)unpacking->limits.max_files + 64) * ENTRY_OVERHEAD_BYTES;
    return unpacking->entries > unpacking->limits.max_files ||
           archive_filter_bytes(unpacking->archive, 0) > unpacking->limits.max_bytes + overhead;
}

/* The path without leading `./`, "" for the root itself, NULL if it could lead outside. */
static const char *checked_path(const char *path)
{
    if (!path || path[0] == '/')
        return NULL;
    while (path[0] == '.' && path[1] == '/')
        path += 2 + strspn(path + 2, "/");
    if (strcmp(path, ".") == 0)
        path++;
    for (const char *at = path; *at;) {
        size_t size = strcspn(at, "/");
        if (size == 2 && at[0] == '.' && at[1] == '.')
            return NULL;
        at += size;
        at += strspn(at, "/");
    }
    return path;
}

static int unpack_content(struct unpacking *unpacking, int fd, struct error *err)
{
    TEXT(buffer) = must_malloc(COPY_BYTES);
    la_ssize_t got;
    while ((got = archive_read_data(unpacking->archive, buffer, COPY_BYTES)) > 0) {
        unpacking->bytes += got;
        if (unpacking->bytes > unpacking->limits.max_bytes)
            return over_limit(unpacking, err);
        if (durable_append(fd, buffer, (size_t)got, err) < 0)
            return -1;
    }
    return got == 0 ? 0 : malformed(unpacking->archive, err);
}

static int unpack_file(struct unpacking *unpacking, const char *path, struct error *err)
{
    FD(fd) = unpacking->place(path, unpacking->ctx, err);
    if (fd < 0)
        return -1;
    if (unpack_content(unpacking, fd, err) < 0 || durable_sync_file(fd, err) < 0)
        return error_wrap(err, "%s", path);
    if (close(steal_fd(&fd)) < 0)
        return error_errno(err, "%s: cannot close", path);
    return 0;
}

static int unpack_entry(struct unpacking *unpacking, struct archive_entry *entry, struct error *err)
{
    unpacking->entries++;
    if (is_over_limit(unpacking))
        return over_limit(unpacking, err);
    const char *raw = archive_entry_pathname(entry);
    const char *path = checked_path(raw);
    unsigned type = archive_entry_filetype(entry);
    bool is_link = archive_entry_hardlink(entry) || archive_entry_symlink(entry);
    if (!path || is_link || (type != AE_IFREG && type != AE_IFDIR))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "the archive may contain only files and directories: %.200s",
                         raw ? raw : "(invalid name)");
    if (type == AE_IFDIR)
        return 0;
    if (path[0] == '\0' || path[strlen(path) - 1] == '/')
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "the archive contains a file without a name");
    if (archive_entry_size(entry) > unpacking->limits.max_bytes - unpacking->bytes)
        return over_limit(unpacking, err);
    return unpack_file(unpacking, path, err);
}

static int unpack_entries(struct unpacking *unpacking, struct error *err)
{
    struct archive *archive = unpacking->archive;
    /* Exactly one gzip around one tar (libarchive also counts the file itself): nested compression
     * is how small bombs are made. */
    if (archive_filter_count(archive) != 2)
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "not a tar.gz archive: not compressed with gzip, or compressed twice");
    struct archive_entry *entry;
    int result;
    /* A warning is about an owner's name or the like, which is not used. */
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK ||
           result == ARCHIVE_WARN)
        if (unpack_entry(unpacking, entry, err) < 0)
            return -1;
    return result == ARCHIVE_EOF ? 0 : malformed(archive, err);
}

int archive_unpack(int in_fd, struct archive_limits limits, archive_place *place, void *ctx,
                   struct error *err)
{
    CLEANUP(cleanup_reader) struct archive *archive = archive_read_new();
    must(archive);
    if (archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_open_fd(archive, in_fd, COPY_BYTES) != ARCHIVE_OK)
        return malformed(archive, err);
    struct unpacking unpacking = {.archive = archive, .limits = limits, .place = place, .ctx = ctx};
    return unpack_entries(&unpacking, err);
}
