/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.h: strings of bytes are the host's functions, whose meaning is the same (a sanitizer watches them there);
 * what Windows has beside them, and all that knows wchar_t, is Weir's (src/nt/crt.c).
 */
#ifndef WEIR_WDK_CRT_STRING_H
#define WEIR_WDK_CRT_STRING_H

#include <stddef.h>

#include "weir/bind.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int errno_t;
typedef size_t rsize_t;

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *bytes, int value, size_t size);
size_t strlen(const char *s);
char *strcpy(char *to, const char *from);
char *strncpy(char *to, const char *from, size_t size);
char *strcat(char *to, const char *from);
char *strncat(char *to, const char *from, size_t size);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
char *strpbrk(const char *s, const char *set);
size_t strspn(const char *s, const char *set);
size_t strcspn(const char *s, const char *set);
size_t strnlen(const char *s, size_t size);

int _stricmp(const char *a, const char *b) WEIR_CRT(_stricmp);
int _strnicmp(const char *a, const char *b, size_t size) WEIR_CRT(_strnicmp);
int stricmp(const char *a, const char *b) WEIR_CRT(_stricmp);
int strnicmp(const char *a, const char *b, size_t size) WEIR_CRT(_strnicmp);
char *_strlwr(char *s) WEIR_CRT(_strlwr);
char *_strupr(char *s) WEIR_CRT(_strupr);
char *_strrev(char *s) WEIR_CRT(_strrev);
char *_strset(char *s, int c) WEIR_CRT(_strset);
char *_strnset(char *s, int c, size_t size) WEIR_CRT(_strnset);
int _memicmp(const void *a, const void *b, size_t size) WEIR_CRT(_memicmp);
errno_t strcpy_s(char *to, rsize_t room, const char *from) WEIR_CRT(strcpy_s);
errno_t strcat_s(char *to, rsize_t room, const char *from) WEIR_CRT(strcat_s);
errno_t strncpy_s(char *to, rsize_t room, const char *from, rsize_t size) WEIR_CRT(strncpy_s);
errno_t strncat_s(char *to, rsize_t room, const char *from, rsize_t size) WEIR_CRT(strncat_s);
char *strtok_s(char *s, const char *set, char **context) WEIR_CRT(strtok_s);
size_t strnlen_s(const char *s, size_t room) WEIR_CRT(strnlen_s);
errno_t memcpy_s(void *to, rsize_t room, const void *from, rsize_t size) WEIR_CRT(memcpy_s);
errno_t memmove_s(void *to, rsize_t room, const void *from, rsize_t size) WEIR_CRT(memmove_s);

size_t wcslen(const wchar_t *s) WEIR_CRT(wcslen);
size_t wcsnlen(const wchar_t *s, size_t room) WEIR_CRT(wcsnlen);
size_t wcsnlen_s(const wchar_t *s, size_t room) WEIR_CRT(wcsnlen_s);
wchar_t *wcscpy(wchar_t *to, const wchar_t *from) WEIR_CRT(wcscpy);
wchar_t *wcsncpy(wchar_t *to, const wchar_t *from, size_t count) WEIR_CRT(wcsncpy);
wchar_t *wcscat(wchar_t *to, const wchar_t *from) WEIR_CRT(wcscat);
wchar_t *wcsncat(wchar_t *to, const wchar_t *from, size_t count) WEIR_CRT(wcsncat);
int wcscmp(const wchar_t *a, const wchar_t *b) WEIR_CRT(wcscmp);
int wcsncmp(const wchar_t *a, const wchar_t *b, size_t count) WEIR_CRT(wcsncmp);
int _wcsicmp(const wchar_t *a, const wchar_t *b) WEIR_CRT(_wcsicmp);
int _wcsnicmp(const wchar_t *a, const wchar_t *b, size_t count) WEIR_CRT(_wcsnicmp);
int wcsicmp(const wchar_t *a, const wchar_t *b) WEIR_CRT(_wcsicmp);
int wcsnicmp(const wchar_t *a, const wchar_t *b, size_t count) WEIR_CRT(_wcsnicmp);
wchar_t *wcschr(const wchar_t *s, wchar_t c) WEIR_CRT(wcschr);
wchar_t *wcsrchr(const wchar_t *s, wchar_t c) WEIR_CRT(wcsrchr);
wchar_t *wcsstr(const wchar_t *s, const wchar_t *what) WEIR_CRT(wcsstr);
wchar_t *wcspbrk(const wchar_t *s, const wchar_t *set) WEIR_CRT(wcspbrk);
size_t wcsspn(const wchar_t *s, const wchar_t *set) WEIR_CRT(wcsspn);
size_t wcscspn(const wchar_t *s, const wchar_t *set) WEIR_CRT(wcscspn);
wchar_t *_wcslwr(wchar_t *s) WEIR_CRT(_wcslwr);
wchar_t *_wcsupr(wchar_t *s) WEIR_CRT(_wcsupr);
wchar_t *_wcsrev(wchar_t *s) WEIR_CRT(_wcsrev);
errno_t wcscpy_s(wchar_t *to, rsize_t room, const wchar_t *from) WEIR_CRT(wcscpy_s);
errno_t wcscat_s(wchar_t *to, rsize_t room, const wchar_t *from) WEIR_CRT(wcscat_s);
errno_t wcsncpy_s(wchar_t *to, rsize_t room, const wchar_t *from, rsize_t count) WEIR_CRT(wcsncpy_s);
errno_t wcsncat_s(wchar_t *to, rsize_t room, const wchar_t *from, rsize_t count) WEIR_CRT(wcsncat_s);
wchar_t *wcstok_s(wchar_t *s, const wchar_t *set, wchar_t **context) WEIR_CRT(wcstok_s);

#ifdef __cplusplus
}
#endif

#endif
