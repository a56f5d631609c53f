/* SPDX-License-Identifier: Apache-2.0 */
// C++ without exceptions: classes, templates, references, overloads, new in a pool.
extern "C" {
#include <ntddk.h>
}

#include "check.h"

extern "C" DRIVER_INITIALIZE DriverEntry;
extern "C" DRIVER_UNLOAD Unload;

void *__cdecl operator new(size_t size)
{
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, size, 'wenD');
}

void __cdecl operator delete(void *block, size_t)
{
    ExFreePoolWithTag(block, 'wenD');
}

void __cdecl operator delete(void *block)
{
    ExFreePoolWithTag(block, 'wenD');
}

namespace idiom
{
template <typename T> static T larger(T a, T b)
{
    return a < b ? b : a;
}

class Counter
{
  public:
    explicit Counter(ULONG from) : count(from)
    {
    }
    virtual ~Counter()
    {
    }
    virtual ULONG next()
    {
        return ++count;
    }

  protected:
    ULONG count;
};

class Twice : public Counter
{
  public:
    using Counter::Counter;
    ULONG next() override
    {
        return count += 2;
    }
};
} // namespace idiom

static const wchar_t *kind(int)
{
    return L"int";
}

static const wchar_t *kind(unsigned long long)
{
    return L"wide";
}

extern "C" VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
}

extern "C" NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    idiom::Counter *c = new idiom::Twice(idiom::larger<ULONG>(3, 4));
    UNICODE_STRING name;

    UNREFERENCED_PARAMETER(path);
    CHECK(c != NULL && c->next() == 6);
    delete c;
    RtlInitUnicodeString(&name, kind(1ui64));
    CHECK(name.Length == 8);
    RtlInitUnicodeString(&name, kind(1));
    CHECK(name.Length == 6);
    object->DriverUnload = Unload;
    return checked;
}
