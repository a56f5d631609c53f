/* SPDX-License-Identifier: Apache-2.0 */
/* __try: the body runs, __leave leaves it, __finally runs on every way out. */
#include <ntddk.h>

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

static int finals;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

static NTSTATUS excepted(int *n)
{
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        *n += 1;
        if (*n > 1)
            __leave;
        *n += 10;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return status;
}

static int finally_returns(int how)
{
    int *ways[2] = {&how, &finals};

    __try {
        __try {
            if (how == 1)
                return how + 100;
            if (how == 2)
                __leave;
            for (;;)
                return *ways[0] + 200;
        } __finally {
            finals += 1;
        }
        finals += 10;
    } __finally {
        finals += AbnormalTermination() ? 1000 : 100;
    }
    return how + 300;
}

/* The words without underscores are old. As names they are free. */
static int leave(int finally)
{
    return finally;
}

static int plain_words(int how)
{
    int n = leave(0);

    try {
        try {
            if (how == 1)
                leave;
            n += 1;
        } finally {
            n += 10;
        }
    }
    except(EXCEPTION_EXECUTE_HANDLER)
    {
        n += 1000;
    }
    return n;
}

static void finally_in_void(void)
{
    __try {
        if (finals != 0)
            return;
        finals = -1;
    } __finally {
        finals = 7;
    }
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    int n = 0;

    UNREFERENCED_PARAMETER(path);
    CHECK(excepted(&n) == STATUS_SUCCESS && n == 11);
    CHECK(excepted(&n) == STATUS_SUCCESS && n == 12);
    CHECK(finally_returns(1) == 101 && finals == 101);
    finals = 0;
    CHECK(finally_returns(2) == 302 && finals == 111);
    finals = 0;
    CHECK(finally_returns(3) == 203 && finals == 101);
    finally_in_void();
    CHECK(finals == 7);
    CHECK(plain_words(0) == 11 && plain_words(1) == 10);
    object->DriverUnload = Unload;
    return checked;
}
