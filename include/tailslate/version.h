/* version: of the headers, at compile time, and of the library that is loaded. */
#ifndef TAILSLATE_VERSION_H
#define TAILSLATE_VERSION_H

/* That of CMakeLists.txt: the compiler refuses another one when the library is built. */
#define TAILSLATE_VERSION "0.1.0"

const char *tailslate_version(void);

#endif
