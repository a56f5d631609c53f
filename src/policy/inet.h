/* SPDX-License-Identifier: Apache-2.0 */
/* Text of addresses. Apart, because the Windows headers and the system's sockets both define AF_INET6. */
#ifndef WEIR_POLICY_INET_H
#define WEIR_POLICY_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool inet_v4_parse(const char *text, size_t size, uint32_t *out); /* host order */
bool inet_v6_parse(const char *text, size_t size, uint8_t out[16]);
#define INET_TEXT 46
const char *inet_v4_format(uint32_t address, char out[INET_TEXT]);
const char *inet_v6_format(const uint8_t address[16], char out[INET_TEXT]);

#endif
