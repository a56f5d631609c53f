/* SPDX-License-Identifier: Apache-2.0 */
/* stdlib.h: numbers, sorting, searching. No memory: the kernel's is in pools. */
#ifndef WEIR_WDK_CRT_STDLIB_H
#define WEIR_WDK_CRT_STDLIB_H

#include <stddef.h>

#include "string.h"
#include "wchar.h"

#ifndef min
#ifndef NOMINMAX
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#endif
#endif
#ifndef _countof
#define _countof(a) (sizeof(a) / sizeof((a)[0]))
#endif
#define RAND_MAX  0x7fff
#define _MAX_PATH 260

#ifdef __cplusplus
extern "C" {
#endif

int abs(int n);
int labs(int n) __asm__("abs");
long long _abs64(long long n) __asm__("llabs");
int atoi(const char *s) WEIR_CRT(atoi);
int atol(const char *s) WEIR_CRT(atoi);
long long atoll(const char *s) WEIR_CRT(_atoi64);
long long _atoi64(const char *s) WEIR_CRT(_atoi64);
int strtol(const char *s, char **end, int base) WEIR_CRT(strtol);
unsigned int strtoul(const char *s, char **end, int base) WEIR_CRT(strtoul);
long long strtoll(const char *s, char **end, int base) WEIR_CRT(strtoll);
unsigned long long strtoull(const char *s, char **end, int base) WEIR_CRT(strtoull);
long long _strtoi64(const char *s, char **end, int base) WEIR_CRT(strtoll);
unsigned long long _strtoui64(const char *s, char **end, int base) WEIR_CRT(strtoull);
errno_t _itoa_s(int n, char *to, size_t room, int base) WEIR_CRT(_itoa_s);
errno_t _itow_s(int n, wchar_t *to, size_t room, int base) WEIR_CRT(_itow_s);
errno_t _ultoa_s(unsigned int n, char *to, size_t room, int base) WEIR_CRT(_ultoa_s);
errno_t _ultow_s(unsigned int n, wchar_t *to, size_t room, int base) WEIR_CRT(_ultow_s);
errno_t _ui64toa_s(unsigned long long n, char *to, size_t room, int base) WEIR_CRT(_ui64toa_s);
errno_t _ui64tow_s(unsigned long long n, wchar_t *to, size_t room, int base) WEIR_CRT(_ui64tow_s);
errno_t _i64toa_s(long long n, char *to, size_t room, int base) WEIR_CRT(_i64toa_s);
errno_t _i64tow_s(long long n, wchar_t *to, size_t room, int base) WEIR_CRT(_i64tow_s);
char *_itoa(int n, char *to, int base) WEIR_CRT(_itoa);
wchar_t *_itow(int n, wchar_t *to, int base) WEIR_CRT(_itow);
char *_ultoa(unsigned int n, char *to, int base) WEIR_CRT(_ultoa);
wchar_t *_ultow(unsigned int n, wchar_t *to, int base) WEIR_CRT(_ultow);
errno_t mbstowcs_s(size_t *done, wchar_t *to, size_t room, const char *from, size_t count) WEIR_CRT(mbstowcs_s);
errno_t wcstombs_s(size_t *done, char *to, size_t room, const wchar_t *from, size_t count) WEIR_CRT(wcstombs_s);
size_t mbstowcs(wchar_t *to, const char *from, size_t count) WEIR_CRT(mbstowcs);
size_t wcstombs(char *to, const wchar_t *from, size_t count) WEIR_CRT(wcstombs);
void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *)) WEIR_CRT(qsort);
void *bsearch(const void *key, const void *base, size_t count, size_t size,
              int (*compare)(const void *, const void *)) WEIR_CRT(bsearch);
int rand(void) WEIR_CRT(rand);
void srand(unsigned int seed) WEIR_CRT(srand);

unsigned short _byteswap_ushort(unsigned short n) WEIR_CRT(_byteswap_ushort);
unsigned int _byteswap_ulong(unsigned int n) WEIR_CRT(_byteswap_ulong);
unsigned long long _byteswap_uint64(unsigned long long n) WEIR_CRT(_byteswap_uint64);
#define _byteswap_ushort(n) __builtin_bswap16(n)
#define _byteswap_ulong(n)  __builtin_bswap32(n)
#define _byteswap_uint64(n) __builtin_bswap64(n)

unsigned int _rotl(unsigned int n, int by) WEIR_CRT(_rotl);
unsigned int _rotr(unsigned int n, int by) WEIR_CRT(_rotr);
#define _rotl(n, by)   (((n) << ((by)&31)) | ((n) >> (-(by)&31)))
#define _rotr(n, by)   (((n) >> ((by)&31)) | ((n) << (-(by)&31)))
#define _rotl64(n, by) (((n) << ((by)&63)) | ((n) >> (-(by)&63)))
#define _rotr64(n, by) (((n) >> ((by)&63)) | ((n) << (-(by)&63)))

#ifdef __cplusplus
}
#endif

#endif
