/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "..\INC\Shared.h"
#define INNER (SHARED + 1)
