/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C run-time of drivers, where Windows' differs from the host's: everything that knows a 16-bit wchar_t
 * or a 32-bit long, the printf family, the *_s functions. include/wdk/crt binds a driver's names to these by
 * their labels. Any IRQL, no state: rand() draws from rt_random().
 */
#ifndef WEIR_NT_CRT_H
#define WEIR_NT_CRT_H

#include <stdarg.h>
#include <stddef.h>

#include "ntdef.h"

/* string.h */
int weir_crt__stricmp(const char *a, const char *b);
int weir_crt__strnicmp(const char *a, const char *b, size_t size);
char *weir_crt__strlwr(char *s);
char *weir_crt__strupr(char *s);
char *weir_crt__strrev(char *s);
char *weir_crt__strset(char *s, int c);
char *weir_crt__strnset(char *s, int c, size_t size);
int weir_crt__memicmp(const void *a, const void *b, size_t size);
int weir_crt_strcpy_s(char *to, size_t room, const char *from);
int weir_crt_strcat_s(char *to, size_t room, const char *from);
int weir_crt_strncpy_s(char *to, size_t room, const char *from, size_t size);
int weir_crt_strncat_s(char *to, size_t room, const char *from, size_t size);
char *weir_crt_strtok_s(char *s, const char *set, char **context);
size_t weir_crt_strnlen_s(const char *s, size_t room);
int weir_crt_memcpy_s(void *to, size_t room, const void *from, size_t size);
int weir_crt_memmove_s(void *to, size_t room, const void *from, size_t size);
size_t weir_crt_wcslen(const WCHAR *s);
size_t weir_crt_wcsnlen(const WCHAR *s, size_t room);
size_t weir_crt_wcsnlen_s(const WCHAR *s, size_t room);
WCHAR *weir_crt_wcscpy(WCHAR *to, const WCHAR *from);
WCHAR *weir_crt_wcsncpy(WCHAR *to, const WCHAR *from, size_t count);
WCHAR *weir_crt_wcscat(WCHAR *to, const WCHAR *from);
WCHAR *weir_crt_wcsncat(WCHAR *to, const WCHAR *from, size_t count);
int weir_crt_wcscmp(const WCHAR *a, const WCHAR *b);
int weir_crt_wcsncmp(const WCHAR *a, const WCHAR *b, size_t count);
int weir_crt__wcsicmp(const WCHAR *a, const WCHAR *b);
int weir_crt__wcsnicmp(const WCHAR *a, const WCHAR *b, size_t count);
WCHAR *weir_crt_wcschr(const WCHAR *s, WCHAR c);
WCHAR *weir_crt_wcsrchr(const WCHAR *s, WCHAR c);
WCHAR *weir_crt_wcsstr(const WCHAR *s, const WCHAR *what);
WCHAR *weir_crt_wcspbrk(const WCHAR *s, const WCHAR *set);
size_t weir_crt_wcsspn(const WCHAR *s, const WCHAR *set);
size_t weir_crt_wcscspn(const WCHAR *s, const WCHAR *set);
WCHAR *weir_crt__wcslwr(WCHAR *s);
WCHAR *weir_crt__wcsupr(WCHAR *s);
WCHAR *weir_crt__wcsrev(WCHAR *s);
int weir_crt_wcscpy_s(WCHAR *to, size_t room, const WCHAR *from);
int weir_crt_wcscat_s(WCHAR *to, size_t room, const WCHAR *from);
int weir_crt_wcsncpy_s(WCHAR *to, size_t room, const WCHAR *from, size_t count);
int weir_crt_wcsncat_s(WCHAR *to, size_t room, const WCHAR *from, size_t count);
WCHAR *weir_crt_wcstok_s(WCHAR *s, const WCHAR *set, WCHAR **context);

/* wchar.h */
int weir_crt_swprintf(WCHAR *to, size_t room, const WCHAR *format, ...);
int weir_crt_vswprintf(WCHAR *to, size_t room, const WCHAR *format, va_list args);
int weir_crt_swprintf_s(WCHAR *to, size_t room, const WCHAR *format, ...);
int weir_crt_vswprintf_s(WCHAR *to, size_t room, const WCHAR *format, va_list args);
int weir_crt__snwprintf(WCHAR *to, size_t room, const WCHAR *format, ...);
int weir_crt__vsnwprintf(WCHAR *to, size_t room, const WCHAR *format, va_list args);
int weir_crt__snwprintf_s(WCHAR *to, size_t room, size_t count, const WCHAR *format, ...);
int weir_crt__vsnwprintf_s(WCHAR *to, size_t room, size_t count, const WCHAR *format, va_list args);
WCHAR *weir_crt_wmemcpy(WCHAR *to, const WCHAR *from, size_t count);
WCHAR *weir_crt_wmemmove(WCHAR *to, const WCHAR *from, size_t count);
WCHAR *weir_crt_wmemset(WCHAR *to, WCHAR value, size_t count);
int weir_crt_wmemcmp(const WCHAR *a, const WCHAR *b, size_t count);
WCHAR *weir_crt_wmemchr(const WCHAR *s, WCHAR c, size_t count);
int weir_crt__wtoi(const WCHAR *s);
long long weir_crt__wtoi64(const WCHAR *s);
int weir_crt_wcstol(const WCHAR *s, WCHAR **end, int base);
unsigned int weir_crt_wcstoul(const WCHAR *s, WCHAR **end, int base);
long long weir_crt_wcstoll(const WCHAR *s, WCHAR **end, int base);
unsigned long long weir_crt_wcstoull(const WCHAR *s, WCHAR **end, int base);

/* wctype.h */
USHORT weir_crt_towlower(USHORT c);
USHORT weir_crt_towupper(USHORT c);
int weir_crt_iswalpha(USHORT c);
int weir_crt_iswdigit(USHORT c);
int weir_crt_iswxdigit(USHORT c);
int weir_crt_iswspace(USHORT c);
int weir_crt_iswupper(USHORT c);
int weir_crt_iswlower(USHORT c);
int weir_crt_iswalnum(USHORT c);
int weir_crt_iswprint(USHORT c);
int weir_crt_iswpunct(USHORT c);

/* stdio.h */
int weir_crt_sprintf(char *to, const char *format, ...);
int weir_crt_vsprintf(char *to, const char *format, va_list args);
int weir_crt_snprintf(char *to, size_t room, const char *format, ...);
int weir_crt_vsnprintf(char *to, size_t room, const char *format, va_list args);
int weir_crt__snprintf(char *to, size_t room, const char *format, ...);
int weir_crt__vsnprintf(char *to, size_t room, const char *format, va_list args);
int weir_crt_sprintf_s(char *to, size_t room, const char *format, ...);
int weir_crt_vsprintf_s(char *to, size_t room, const char *format, va_list args);
int weir_crt__snprintf_s(char *to, size_t room, size_t count, const char *format, ...);
int weir_crt__vsnprintf_s(char *to, size_t room, size_t count, const char *format, va_list args);
int weir_crt_sscanf_s(const char *s, const char *format, ...);
int weir_crt__scprintf(const char *format, ...);

/* stdlib.h */
int weir_crt_atoi(const char *s);
long long weir_crt__atoi64(const char *s);
int weir_crt_strtol(const char *s, char **end, int base);
unsigned int weir_crt_strtoul(const char *s, char **end, int base);
long long weir_crt_strtoll(const char *s, char **end, int base);
unsigned long long weir_crt_strtoull(const char *s, char **end, int base);
int weir_crt__itoa_s(int n, char *to, size_t room, int base);
int weir_crt__itow_s(int n, WCHAR *to, size_t room, int base);
int weir_crt__ultoa_s(unsigned int n, char *to, size_t room, int base);
int weir_crt__ultow_s(unsigned int n, WCHAR *to, size_t room, int base);
int weir_crt__ui64toa_s(unsigned long long n, char *to, size_t room, int base);
int weir_crt__ui64tow_s(unsigned long long n, WCHAR *to, size_t room, int base);
int weir_crt__i64toa_s(long long n, char *to, size_t room, int base);
int weir_crt__i64tow_s(long long n, WCHAR *to, size_t room, int base);
char *weir_crt__itoa(int n, char *to, int base);
WCHAR *weir_crt__itow(int n, WCHAR *to, int base);
char *weir_crt__ultoa(unsigned int n, char *to, int base);
WCHAR *weir_crt__ultow(unsigned int n, WCHAR *to, int base);
int weir_crt_mbstowcs_s(size_t *done, WCHAR *to, size_t room, const char *from, size_t count);
int weir_crt_wcstombs_s(size_t *done, char *to, size_t room, const WCHAR *from, size_t count);
size_t weir_crt_mbstowcs(WCHAR *to, const char *from, size_t count);
size_t weir_crt_wcstombs(char *to, const WCHAR *from, size_t count);
void weir_crt_qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
void *weir_crt_bsearch(const void *key, const void *base, size_t count, size_t size,
                       int (*compare)(const void *, const void *));
int weir_crt_rand(void);
void weir_crt_srand(unsigned int seed);
unsigned short weir_crt__byteswap_ushort(unsigned short n);
unsigned int weir_crt__byteswap_ulong(unsigned int n);
unsigned long long weir_crt__byteswap_uint64(unsigned long long n);
unsigned int weir_crt__rotl(unsigned int n, int by);
unsigned int weir_crt__rotr(unsigned int n, int by);

#endif
