/* mounts: file systems of a test, in a mount namespace of its own.
 *
 * A program that calls one of these has had its own namespace since before main, and so have its
 * children: what is mounted here is seen by the programs under test and by nobody else, and is gone
 * with the last of them. The guard has yet another one, where it can remove the scratch directory.
 * Without root it takes a user namespace. */
#ifndef SUPPORT_MOUNTS_H
#define SUPPORT_MOUNTS_H

void mounts_memory(const char *path, const char *size); /* an empty file system in memory: "96m" */
void mounts_bind(const char *from, const char *path);
void mounts_end(const char *path);

/* Leaves no free byte on the file system of the directory; what was written, to be unlinked. */
void mounts_fill(const char *ballast);

#endif
