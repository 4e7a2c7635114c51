/* The files of this folder, as the build puts them into the program. Not NUL-terminated. */
#ifndef SLUICE_ADMIN_DASHBOARD_FILES_H
#define SLUICE_ADMIN_DASHBOARD_FILES_H

#include <stddef.h>

extern const unsigned char dashboard_page[];
extern const size_t dashboard_page_len;
extern const unsigned char dashboard_style[];
extern const size_t dashboard_style_len;
extern const unsigned char dashboard_script[];
extern const size_t dashboard_script_len;

#endif
