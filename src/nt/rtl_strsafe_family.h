/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of ntstrsafe.h over one kind of string, by rtl_strsafe.c alone: included once for each width
 * (T: char, WCHAR; OF(copy) is copy_char, ...) and each way to count (PER: what a unit of the string counts,
 * 1 or sizeof(T)). NAME(Copy) is the documented name.
 */
NTSTATUS NAME(Copy)(T *to, size_t room, const T *from)
{
    return OF(copy)(to, room / PER, 0, from, WHOLE).status;
}

NTSTATUS NAME(CopyN)(T *to, size_t room, const T *from, size_t count)
{
    if (count / PER > NTSTRSAFE_MAX_CCH)
        return STATUS_INVALID_PARAMETER;
    return OF(copy)(to, room / PER, 0, from, count / PER).status;
}

NTSTATUS NAME(Cat)(T *to, size_t room, const T *from)
{
    return OF(copy)(to, room / PER, OF(length)(to, room / PER), from, WHOLE).status;
}

NTSTATUS NAME(CatN)(T *to, size_t room, const T *from, size_t count)
{
    if (count / PER > NTSTRSAFE_MAX_CCH)
        return STATUS_INVALID_PARAMETER;
    return OF(copy)(to, room / PER, OF(length)(to, room / PER), from, count / PER).status;
}

NTSTATUS NAME(VPrintf)(T *to, size_t room, const T *format, va_list args)
{
    return OF(print)(to, room / PER, format, args).status;
}

NTSTATUS NAME(Printf)(T *to, size_t room, const T *format, ...)
{
    va_list args;

    va_start(args, format);
    NTSTATUS status = OF(print)(to, room / PER, format, args).status;
    va_end(args);
    return status;
}

NTSTATUS NAME(Length)(const T *text, size_t limit, size_t *length)
{
    size_t room = limit / PER, n = text == NULL || room > NTSTRSAFE_MAX_CCH ? room : OF(length)(text, room);

    if (length != NULL)
        *length = n == room ? 0 : n * PER;
    return n == room ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
}

NTSTATUS NAME(CopyEx)(T *to, size_t room, const T *from, T **end, size_t *left, ULONG flags)
{
    struct result r = OF(copy)(to, room / PER, 0, OF(source)(from, flags), WHOLE);

    return OF(finish)(to, room / PER, room * sizeof(T) / PER, r, end, left, PER != 1, flags);
}

NTSTATUS NAME(CopyNEx)(T *to, size_t room, const T *from, size_t count, T **end, size_t *left, ULONG flags)
{
    struct result r = OF(copy)(to, room / PER, 0, OF(source)(from, flags), count / PER);

    return OF(finish)(to, room / PER, room * sizeof(T) / PER, r, end, left, PER != 1, flags);
}

NTSTATUS NAME(CatEx)(T *to, size_t room, const T *from, T **end, size_t *left, ULONG flags)
{
    struct result r = OF(copy)(to, room / PER, OF(length)(to, room / PER), OF(source)(from, flags), WHOLE);

    return OF(finish)(to, room / PER, room * sizeof(T) / PER, r, end, left, PER != 1, flags);
}

NTSTATUS NAME(CatNEx)(T *to, size_t room, const T *from, size_t count, T **end, size_t *left, ULONG flags)
{
    struct result r =
        OF(copy)(to, room / PER, OF(length)(to, room / PER), OF(source)(from, flags), count / PER);

    return OF(finish)(to, room / PER, room * sizeof(T) / PER, r, end, left, PER != 1, flags);
}

NTSTATUS NAME(VPrintfEx)(T *to, size_t room, T **end, size_t *left, ULONG flags, const T *format,
                         va_list args)
{
    struct result r = OF(print)(to, room / PER, OF(source)(format, flags), args);

    return OF(finish)(to, room / PER, room * sizeof(T) / PER, r, end, left, PER != 1, flags);
}

NTSTATUS NAME(PrintfEx)(T *to, size_t room, T **end, size_t *left, ULONG flags, const T *format, ...)
{
    va_list args;

    va_start(args, format);
    NTSTATUS status = NAME(VPrintfEx)(to, room, end, left, flags, format, args);
    va_end(args);
    return status;
}

#undef NAME
#undef PER
