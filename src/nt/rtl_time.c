/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: 100 ns units since 1601-01-01 to days of the calendar and back; the version of Windows that Weir says
 * it is. The machine's time zone is UTC. Any IRQL but where said.
 */
#include "nt/internal.h"
#include "sdkddkver.h"

#define PER_MILLISECOND 10000ll
#define PER_DAY         (86400000ll * PER_MILLISECOND)
#define SECONDS_TO_1970 11644473600ll
#define SECONDS_TO_1980 (SECONDS_TO_1970 + 315532800ll)

/* Days since 1601-01-01 of a day of the proleptic Gregorian calendar; a year begins in March here, so that
 * the leap day is its last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400, in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 584694;
}

static unsigned days_in(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

VOID RtlTimeToTimeFields(PLARGE_INTEGER Time, PTIME_FIELDS TimeFields)
{
    uint64_t time = (uint64_t)Time->QuadPart;
    int64_t days = (int64_t)(time / PER_DAY);
    uint64_t milliseconds = time % PER_DAY / PER_MILLISECOND;

    int64_t shifted = days + 584694, era = shifted / 146097, in_era = shifted % 146097;
    int64_t years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * years + years / 4 - years / 100), month = (5 * in_year + 2) / 153;

    TimeFields->Day = (CSHORT)(in_year - (153 * month + 2) / 5 + 1);
    TimeFields->Month = (CSHORT)(month < 10 ? month + 3 : month - 9);
    TimeFields->Year = (CSHORT)(years + era * 400 + (TimeFields->Month <= 2));
    TimeFields->Weekday = (CSHORT)((days + 1) % 7); /* 1601-01-01 was a Monday */
    TimeFields->Hour = (CSHORT)(milliseconds / 3600000);
    TimeFields->Minute = (CSHORT)(milliseconds / 60000 % 60);
    TimeFields->Second = (CSHORT)(milliseconds / 1000 % 60);
    TimeFields->Milliseconds = (CSHORT)(milliseconds % 1000);
}

BOOLEAN RtlTimeFieldsToTime(PTIME_FIELDS TimeFields, PLARGE_INTEGER Time)
{
    const TIME_FIELDS *t = TimeFields;

    if (t->Year < 1601 || t->Month < 1 || t->Month > 12 || t->Day < 1 ||
        (unsigned)t->Day > days_in(t->Year, (unsigned)t->Month) || t->Hour < 0 || t->Hour > 23 ||
        t->Minute < 0 || t->Minute > 59 || t->Second < 0 || t->Second > 59 || t->Milliseconds < 0 ||
        t->Milliseconds > 999)
        return FALSE;
    Time->QuadPart =
        days_of(t->Year, (unsigned)t->Month, (unsigned)t->Day) * PER_DAY +
        (((t->Hour * 60ll + t->Minute) * 60 + t->Second) * 1000 + t->Milliseconds) * PER_MILLISECOND;
    return TRUE;
}

static BOOLEAN seconds_since(PLARGE_INTEGER time, int64_t start, PULONG seconds)
{
    int64_t value = time->QuadPart / 10000000 - start;

    if (time->QuadPart < 0 || value < 0 || value > 0xffffffffll)
        return FALSE;
    *seconds = (ULONG)value;
    return TRUE;
}

BOOLEAN RtlTimeToSecondsSince1970(PLARGE_INTEGER Time, PULONG ElapsedSeconds)
{
    return seconds_since(Time, SECONDS_TO_1970, ElapsedSeconds);
}

VOID RtlSecondsSince1970ToTime(ULONG ElapsedSeconds, PLARGE_INTEGER Time)
{
    Time->QuadPart = (ElapsedSeconds + SECONDS_TO_1970) * 10000000;
}

BOOLEAN RtlTimeToSecondsSince1980(PLARGE_INTEGER Time, PULONG ElapsedSeconds)
{
    return seconds_since(Time, SECONDS_TO_1980, ElapsedSeconds);
}

VOID RtlSecondsSince1980ToTime(ULONG ElapsedSeconds, PLARGE_INTEGER Time)
{
    Time->QuadPart = (ElapsedSeconds + SECONDS_TO_1980) * 10000000;
}

VOID ExSystemTimeToLocalTime(PLARGE_INTEGER SystemTime, PLARGE_INTEGER LocalTime)
{
    *LocalTime = *SystemTime;
}

VOID ExLocalTimeToSystemTime(PLARGE_INTEGER LocalTime, PLARGE_INTEGER SystemTime)
{
    *SystemTime = *LocalTime;
}

/* ---- the version: Windows 11 22H2, which the tables of structures are of
 * ------------------------------------ */
enum { MAJOR = 10, MINOR = 0, BUILD = 22621 };

NTSTATUS RtlGetVersion(PRTL_OSVERSIONINFOW lpVersionInformation)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    ULONG size = lpVersionInformation->dwOSVersionInfoSize;
    PRTL_OSVERSIONINFOEXW wide = (PRTL_OSVERSIONINFOEXW)lpVersionInformation;

    lpVersionInformation->dwMajorVersion = MAJOR;
    lpVersionInformation->dwMinorVersion = MINOR;
    lpVersionInformation->dwBuildNumber = BUILD;
    lpVersionInformation->dwPlatformId = VER_PLATFORM_WIN32_NT;
    memset(lpVersionInformation->szCSDVersion, 0, sizeof lpVersionInformation->szCSDVersion);
    if (size == sizeof(RTL_OSVERSIONINFOEXW)) {
        wide->wServicePackMajor = 0;
        wide->wServicePackMinor = 0;
        wide->wSuiteMask = 0;
        wide->wProductType = VER_NT_WORKSTATION;
        wide->wReserved = 0;
    }
    return STATUS_SUCCESS;
}

BOOLEAN PsGetVersion(PULONG MajorVersion, PULONG MinorVersion, PULONG BuildNumber, PUNICODE_STRING CSDVersion)
{
    if (MajorVersion != NULL)
        *MajorVersion = MAJOR;
    if (MinorVersion != NULL)
        *MinorVersion = MINOR;
    if (BuildNumber != NULL)
        *BuildNumber = BUILD;
    if (CSDVersion != NULL)
        CSDVersion->Length = 0;
    return FALSE; /* no checked build */
}

/* Three bits a member of the version, the lowest for the minor one. */
ULONGLONG VerSetConditionMask(ULONGLONG ConditionMask, ULONG TypeMask, UCHAR Condition)
{
    for (unsigned bit = 0; bit < 8; bit++)
        if (TypeMask >> bit & 1)
            ConditionMask |= (ULONGLONG)(Condition & 7) << (3 * bit);
    return ConditionMask;
}

static unsigned condition(ULONGLONG mask, ULONG type)
{
    return (unsigned)(mask >> (3 * (unsigned)__builtin_ctz(type)) & 7);
}

/* -1, 0, 1 as ours is less, equal, more. */
static bool holds(unsigned condition_, int order)
{
    switch (condition_) {
    case VER_EQUAL:
        return order == 0;
    case VER_GREATER:
        return order > 0;
    case VER_GREATER_EQUAL:
        return order >= 0;
    case VER_LESS:
        return order < 0;
    case VER_LESS_EQUAL:
        return order <= 0;
    default:
        return false;
    }
}

NTSTATUS RtlVerifyVersionInfo(PRTL_OSVERSIONINFOEXW VersionInfo, ULONG TypeMask, ULONGLONG ConditionMask)
{
    const struct {
        ULONG type;
        ULONG ours, theirs;
    } members[] = {/* the most significant first: a later one counts only where those before are equal */
                   {VER_MAJORVERSION, MAJOR, VersionInfo->dwMajorVersion},
                   {VER_MINORVERSION, MINOR, VersionInfo->dwMinorVersion},
                   {VER_SERVICEPACKMAJOR, 0, VersionInfo->wServicePackMajor},
                   {VER_SERVICEPACKMINOR, 0, VersionInfo->wServicePackMinor}};
    int order = 0;
    unsigned c = 0;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (TypeMask == 0 || ConditionMask == 0)
        return STATUS_INVALID_PARAMETER;
    for (size_t i = 0; i < ARRAYSIZE(members) && order == 0; i++) {
        if (!(TypeMask & members[i].type))
            continue;
        c = condition(ConditionMask, members[i].type);
        order = members[i].ours < members[i].theirs ? -1 : members[i].ours > members[i].theirs;
    }
    if (c != 0 && !holds(c, order))
        return STATUS_REVISION_MISMATCH;
    if (TypeMask & VER_BUILDNUMBER) {
        order = BUILD < VersionInfo->dwBuildNumber ? -1 : BUILD > VersionInfo->dwBuildNumber;
        if (!holds(condition(ConditionMask, VER_BUILDNUMBER), order))
            return STATUS_REVISION_MISMATCH;
    }
    if (TypeMask & VER_PLATFORMID && VersionInfo->dwPlatformId != VER_PLATFORM_WIN32_NT)
        return STATUS_REVISION_MISMATCH;
    return STATUS_SUCCESS;
}

/* NTDDI versions grow with time; ours is Windows 11 22H2's. */
BOOLEAN RtlIsNtDdiVersionAvailable(ULONG Version)
{
    return Version <= NTDDI_WIN10_NI;
}

BOOLEAN RtlIsServicePackVersionInstalled(ULONG Version)
{
    return Version <= NTDDI_WIN10_NI;
}
