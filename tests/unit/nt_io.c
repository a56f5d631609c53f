/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices, files, IRPs, handles, the registry and helpers over it, tables, descriptors: as a driver without
 * the framework uses them, each in a simulated and in a real world. The lab's driver makes a device whose
 * dispatch routines are here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nt_lab.h"
#include "security/security.h"
#include "wdmsec.h"

#define CODE(function, method) CTL_CODE(FILE_DEVICE_NETWORK, (function), (method), FILE_ANY_ACCESS)

struct device {
    struct nt_lab *lab;
    LIST_ENTRY pending;
    KSPIN_LOCK lock;
    IO_CSQ csq;
    unsigned created, cleaned, closed;
    ULONG requestor;
};

/* ---- a cancel-safe queue
 * ------------------------------------------------------------------------------------------------ */
static struct device *of(PIO_CSQ csq)
{
    return CONTAINING_RECORD(csq, struct device, csq);
}
static VOID insert(PIO_CSQ csq, PIRP irp)
{
    InsertTailList(&of(csq)->pending, &irp->Tail.Overlay.ListEntry);
}
static VOID remove_irp(PIO_CSQ csq, PIRP irp)
{
    (void)csq;
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
}
static PIRP peek(PIO_CSQ csq, PIRP irp, PVOID context)
{
    PLIST_ENTRY next = irp == NULL ? of(csq)->pending.Flink : irp->Tail.Overlay.ListEntry.Flink;
    (void)context;
    return next == &of(csq)->pending ? NULL : CONTAINING_RECORD(next, IRP, Tail.Overlay.ListEntry);
}
static VOID acquire(PIO_CSQ csq, PKIRQL irql)
{
    KeAcquireSpinLock(&of(csq)->lock, irql);
}
static VOID release(PIO_CSQ csq, KIRQL irql)
{
    KeReleaseSpinLock(&of(csq)->lock, irql);
}
static VOID cancelled(PIO_CSQ csq, PIRP irp)
{
    (void)csq;
    irp->IoStatus.Status = STATUS_CANCELLED;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

/* ---- dispatch
 * -----------------------------------------------------------------------------------------------------------
 */
static NTSTATUS complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS open_close(PDEVICE_OBJECT object, PIRP irp)
{
    struct device *d = object->DeviceExtension;
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;

    d->created += major == IRP_MJ_CREATE;
    d->cleaned += major == IRP_MJ_CLEANUP;
    d->closed += major == IRP_MJ_CLOSE;
    return complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS control(PDEVICE_OBJECT object, PIRP irp)
{
    struct device *d = object->DeviceExtension;
    PIO_STACK_LOCATION s = IoGetCurrentIrpStackLocation(irp);
    ULONG in = s->Parameters.DeviceIoControl.InputBufferLength,
          out = s->Parameters.DeviceIoControl.OutputBufferLength;
    char *from = irp->AssociatedIrp.SystemBuffer, *to = from;

    d->requestor = IoGetRequestorProcessId(irp);
    switch (IoGetFunctionCodeFromCtlCode(s->Parameters.DeviceIoControl.IoControlCode)) {
    case 0x801: /* answers with the input, each byte one more */
        if (METHOD_FROM_CTL_CODE(s->Parameters.DeviceIoControl.IoControlCode) == METHOD_OUT_DIRECT)
            to = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
        if (METHOD_FROM_CTL_CODE(s->Parameters.DeviceIoControl.IoControlCode) == METHOD_NEITHER) {
            from = s->Parameters.DeviceIoControl.Type3InputBuffer;
            to = irp->UserBuffer;
        }
        if (out < in)
            return complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
        for (ULONG i = 0; i < in; i++)
            to[i] = (char)(from[i] + 1);
        return complete(irp, STATUS_SUCCESS, in);
    case 0x802: /* keeps it */
        IoCsqInsertIrp(&d->csq, irp, NULL);
        return STATUS_PENDING;
    case 0x803: { /* lets go what is kept */
        PIRP kept;
        ULONG n = 0;
        while ((kept = IoCsqRemoveNextIrp(&d->csq, NULL)) != NULL) {
            complete(kept, STATUS_SUCCESS, 0);
            n++;
        }
        return complete(irp, STATUS_SUCCESS, n);
    }
    default:
        return complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static PDEVICE_OBJECT make(struct nt_lab *lab)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(u"\\Device\\Lab"),
                   link = RTL_CONSTANT_STRING(u"\\DosDevices\\LabLink");
    PDRIVER_OBJECT driver = nt_driver_object(lab->driver);
    PDEVICE_OBJECT object;

    driver->MajorFunction[IRP_MJ_CREATE] = driver->MajorFunction[IRP_MJ_CLEANUP] =
        driver->MajorFunction[IRP_MJ_CLOSE] = open_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control;
    assert_int_equal(
        IoCreateDevice(driver, sizeof(struct device), &name, FILE_DEVICE_NETWORK, 0, FALSE, &object),
        STATUS_SUCCESS);
    struct device *d = object->DeviceExtension;
    d->lab = lab;
    InitializeListHead(&d->pending);
    KeInitializeSpinLock(&d->lock);
    IoCsqInitialize(&d->csq, insert, remove_irp, peek, acquire, release, cancelled);
    object->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    assert_int_equal(IoCreateSymbolicLink(&link, &name), STATUS_SUCCESS);
    return object;
}

static void unmake(PDEVICE_OBJECT object)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(u"\\DosDevices\\LabLink");

    assert_int_equal(IoDeleteSymbolicLink(&link), STATUS_SUCCESS);
    IoDeleteDevice(object);
}

static void devices(struct nt_lab *lab)
{
    PDEVICE_OBJECT object = make(lab), second;
    struct device *d = object->DeviceExtension;
    UNICODE_STRING name = RTL_CONSTANT_STRING(u"\\device\\LAB");
    struct nt_file *f;
    char in[4] = "abc", out[4];
    size_t done;

    assert_int_equal(
        IoCreateDevice(nt_driver_object(lab->driver), 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &second),
        STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(nt_open(lab->k, "\\\\.\\Nothing", 0, &f), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(nt_process_add(lab->k, 1234, u"\\Device\\HarddiskVolume1\\p.exe"), STATUS_SUCCESS);
    assert_int_equal(nt_open(lab->k, "\\\\.\\LabLink", 1234, &f), STATUS_SUCCESS);
    static const ULONG methods[] = {METHOD_BUFFERED, METHOD_OUT_DIRECT, METHOD_NEITHER};
    for (size_t i = 0; i < ARRAYSIZE(methods); i++) {
        memset(out, 0, sizeof out);
        assert_int_equal(nt_control(f, CODE(0x801, methods[i]), in, 3, out, 4, &done, LAB_MS),
                         STATUS_SUCCESS);
        assert_int_equal(done, 3);
        assert_string_equal(out, "bcd");
    }
    assert_int_equal(d->requestor, 1234);
    assert_int_equal(nt_control(f, CODE(0x801, METHOD_BUFFERED), in, 4, out, 1, &done, LAB_MS),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(nt_control(f, CODE(0x900, METHOD_BUFFERED), in, 4, out, 1, &done, LAB_MS),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(nt_read(f, out, 4, &done, LAB_MS), STATUS_INVALID_DEVICE_REQUEST);
    /* kept too long: cancelled */
    assert_int_equal(nt_control(f, CODE(0x802, METHOD_BUFFERED), in, 4, out, 4, &done, 5 * LAB_MS),
                     STATUS_CANCELLED);
    assert_true(IsListEmpty(&d->pending));
    nt_close(f);
    assert_int_equal(d->created, 1);
    assert_int_equal(d->cleaned, 1);
    assert_int_equal(d->closed, 1);
    assert_int_equal(object->ReferenceCount, 0);
    assert_int_equal(nt_process_remove(lab->k, 1234), STATUS_SUCCESS);
    unmake(object);
    assert_int_equal(nt_open(lab->k, "\\\\.\\LabLink", 0, &f), STATUS_OBJECT_NAME_NOT_FOUND);
}

/* A request that another thread lets go; and a driver's own way to a device. */
struct asker {
    struct nt_lab *lab;
    struct nt_file *file;
    NTSTATUS status;
};
static VOID ask(PVOID context)
{
    struct asker *a = context;
    size_t done;

    a->status = nt_control(a->file, CODE(0x802, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, 10000 * LAB_MS);
}

static void kept_and_let_go(struct nt_lab *lab)
{
    PDEVICE_OBJECT object = make(lab);
    struct device *d = object->DeviceExtension;
    struct asker a = {.lab = lab};
    LARGE_INTEGER tick = lab_ms(1);
    size_t done;

    assert_int_equal(nt_open(lab->k, "\\Device\\Lab\\file name", 0, &a.file), STATUS_SUCCESS);
    HANDLE thread = lab_thread(ask, &a);
    for (;;) {
        KIRQL irql;
        KeAcquireSpinLock(&d->lock, &irql);
        bool kept = !IsListEmpty(&d->pending);
        KeReleaseSpinLock(&d->lock, irql);
        if (kept)
            break;
        tick = lab_ms(1);
        KeDelayExecutionThread(KernelMode, FALSE, &tick);
    }
    assert_int_equal(nt_control(a.file, CODE(0x803, METHOD_BUFFERED), NULL, 0, NULL, 0, &done, LAB_MS),
                     STATUS_SUCCESS);
    assert_int_equal(done, 1);
    lab_join(thread);
    assert_int_equal(a.status, STATUS_SUCCESS);
    nt_close(a.file);

    PFILE_OBJECT file;
    PDEVICE_OBJECT found;
    UNICODE_STRING name = RTL_CONSTANT_STRING(u"\\Device\\Lab");
    IO_STATUS_BLOCK status;
    KEVENT event;
    char text[4] = "xyz";
    assert_int_equal(IoGetDeviceObjectPointer(&name, FILE_ALL_ACCESS, &file, &found), STATUS_SUCCESS);
    assert_ptr_equal(found, object);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildDeviceIoControlRequest(CODE(0x801, METHOD_BUFFERED), found, text, 3, text, 3, FALSE,
                                             &event, &status);
    assert_non_null(irp);
    assert_int_equal(IoCallDriver(found, irp), STATUS_SUCCESS);
    assert_int_equal(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    assert_string_equal(text, "yz{");
    assert_int_equal(status.Information, 3);
    ObDereferenceObject(file);
    unmake(object);
}

static VOID worked(PDEVICE_OBJECT object, PVOID context)
{
    (void)object;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
}
static VOID worked_ex(PVOID object, PVOID context, PIO_WORKITEM item)
{
    (void)object;
    IoFreeWorkItem(item);
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
}

static void work_items(struct nt_lab *lab)
{
    PDEVICE_OBJECT object = make(lab);
    PIO_WORKITEM item = IoAllocateWorkItem(object);
    KEVENT event;

    KeInitializeEvent(&event, SynchronizationEvent, FALSE);
    for (int i = 0; i < 3; i++) {
        IoQueueWorkItem(item, worked, DelayedWorkQueue, &event);
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    }
    IoQueueWorkItemEx(item, worked_ex, DelayedWorkQueue, &event);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    item = ExAllocatePool2(POOL_FLAG_NON_PAGED, IoSizeofWorkItem(), 0x6d657449);
    IoInitializeWorkItem(object, item);
    IoQueueWorkItem(item, worked, CriticalWorkQueue, &event);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    IoUninitializeWorkItem(item);
    ExFreePoolWithTag(item, 0x6d657449);
    unmake(object);
}

static void handles(struct nt_lab *lab)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE event, other;
    PVOID object;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    assert_int_equal(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE),
                     STATUS_SUCCESS);
    assert_int_equal(ObReferenceObjectByHandle(event, 0, *PsThreadType, KernelMode, &object, NULL),
                     STATUS_OBJECT_TYPE_MISMATCH);
    assert_int_equal(ObReferenceObjectByHandle(event, 0, *ExEventObjectType, KernelMode, &object, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(ObOpenObjectByPointer(object, OBJ_KERNEL_HANDLE, NULL, 0, NULL, KernelMode, &other),
                     STATUS_SUCCESS);
    assert_ptr_not_equal(event, other);
    assert_int_equal(ZwClose(event), STATUS_SUCCESS);
    assert_int_equal(ZwSetEvent(other, NULL), STATUS_SUCCESS);
    assert_int_equal(KeReadStateEvent(object), 1);
    assert_int_equal(ZwClose(other), STATUS_SUCCESS);
    ObDereferenceObject(object);
    assert_int_equal(ZwClose(other), STATUS_INVALID_HANDLE);
    assert_true(lab_found(lab, LEDGER_TWICE) + lab_found(lab, LEDGER_UNKNOWN) == 1);
}

static void registry(struct nt_lab *lab)
{
    UNICODE_STRING path =
                       RTL_CONSTANT_STRING(u"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\Mine"),
                   value, text;
    OBJECT_ATTRIBUTES attributes;
    HANDLE key, child;
    ULONG disposition, size, number = 42, direct = 0;
    UCHAR room[64];
    KEY_VALUE_PARTIAL_INFORMATION *partial = (void *)room;

    (void)lab;
    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    assert_int_equal(ZwOpenKey(&key, KEY_READ, &attributes), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(ZwCreateKey(&key, KEY_ALL_ACCESS, &attributes, 0, NULL, 0, &disposition),
                     STATUS_SUCCESS);
    assert_int_equal(disposition, REG_CREATED_NEW_KEY);
    RtlInitUnicodeString(&value, u"Number");
    assert_int_equal(ZwSetValueKey(key, &value, 0, REG_DWORD, &number, sizeof number), STATUS_SUCCESS);
    RtlInitUnicodeString(&value, u"NUMBER");
    assert_int_equal(ZwQueryValueKey(key, &value, KeyValuePartialInformation, room, sizeof room, &size),
                     STATUS_SUCCESS);
    assert_int_equal(partial->Type, REG_DWORD);
    assert_memory_equal(partial->Data, &number, 4);
    assert_int_equal(ZwQueryValueKey(key, &value, KeyValuePartialInformation, room, 4, &size),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(ZwQueryValueKey(key, &value, KeyValuePartialInformation, room, 14, &size),
                     STATUS_BUFFER_OVERFLOW);
    assert_int_equal(size, 16);
    assert_int_equal(RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, u"Mine", u"Text", REG_SZ, u"hello", 12),
                     STATUS_SUCCESS);
    assert_int_equal(RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, (PWSTR)(uintptr_t)u"Mine"), STATUS_SUCCESS);
    assert_int_equal(RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, (PWSTR)(uintptr_t)u"Yours"),
                     STATUS_OBJECT_NAME_NOT_FOUND);
    text = (UNICODE_STRING){0, 0, NULL};
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED, (PWSTR)(uintptr_t)u"Number", &direct,
         REG_NONE, NULL, 0},
        {NULL, RTL_QUERY_REGISTRY_DIRECT, (PWSTR)(uintptr_t)u"Text", &text, REG_SZ, NULL, 0},
        {NULL, 0, NULL, NULL, 0, NULL, 0}};
    assert_int_equal(RtlQueryRegistryValues(RTL_REGISTRY_SERVICES, u"Mine", table, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(direct, 42);
    assert_int_equal(text.Length, 10);
    RtlFreeUnicodeString(&text);
    RtlInitUnicodeString(&path, u"Child\\Grand");
    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE, key, NULL);
    assert_int_equal(ZwCreateKey(&child, KEY_ALL_ACCESS, &attributes, 0, NULL, 0, NULL), STATUS_SUCCESS);
    assert_int_equal(ZwEnumerateKey(key, 0, KeyBasicInformation, room, sizeof room, &size), STATUS_SUCCESS);
    assert_int_equal(((KEY_BASIC_INFORMATION *)(void *)room)->NameLength, 10);
    assert_int_equal(ZwEnumerateKey(key, 1, KeyBasicInformation, room, sizeof room, &size),
                     STATUS_NO_MORE_ENTRIES);
    assert_int_equal(ZwDeleteKey(key), STATUS_CANNOT_DELETE);
    assert_int_equal(ZwDeleteKey(child), STATUS_SUCCESS);
    assert_int_equal(ZwQueryKey(child, KeyBasicInformation, room, sizeof room, &size), STATUS_KEY_DELETED);
    assert_int_equal(ZwClose(child), STATUS_SUCCESS);
    assert_int_equal(ZwClose(key), STATUS_SUCCESS);
}

/* ---- tables, against a sorted array
 * ------------------------------------------------------------------------------------- */
static RTL_GENERIC_COMPARE_RESULTS compare(PRTL_AVL_TABLE table, PVOID a, PVOID b)
{
    (void)table;
    return *(int *)a < *(int *)b   ? GenericLessThan
           : *(int *)a > *(int *)b ? GenericGreaterThan
                                   : GenericEqual;
}
static PVOID allocate(PRTL_AVL_TABLE table, CLONG size)
{
    (void)table;
    return malloc(size);
}
static VOID release_node(PRTL_AVL_TABLE table, PVOID node)
{
    (void)table;
    free(node);
}
static int height(const RTL_BALANCED_LINKS *n)
{
    if (n == NULL)
        return 0;
    int left = height(n->LeftChild), right = height(n->RightChild);
    assert_int_equal(n->Balance, right - left);
    assert_true(n->Balance >= -1 && n->Balance <= 1);
    return 1 + (left > right ? left : right);
}

static void avl(void **state)
{
    RTL_AVL_TABLE table;
    bool there[64] = {false};
    uint64_t seed = 42;

    (void)state;
    RtlInitializeGenericTableAvl(&table, compare, allocate, release_node, NULL);
    for (int step = 0; step < 20000; step++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        int key = (int)(seed >> 33) % 64;
        BOOLEAN fresh;
        if (seed >> 62 & 1) {
            int *element = RtlInsertElementGenericTableAvl(&table, &key, sizeof key, &fresh);
            assert_int_equal(*element, key);
            assert_int_equal(fresh, !there[key]);
            there[key] = true;
        } else {
            assert_int_equal(RtlDeleteElementGenericTableAvl(&table, &key), there[key]);
            there[key] = false;
        }
        if (step % 16 != 0)
            continue;
        assert_int_equal(height(table.BalancedRoot.RightChild), table.DepthOfTree);
        ULONG i = 0;
        int at = 0;
        for (int *p = RtlEnumerateGenericTableAvl(&table, TRUE); p != NULL;
             p = RtlEnumerateGenericTableAvl(&table, FALSE)) {
            while (!there[at])
                at++;
            assert_int_equal(*p, at);
            assert_ptr_equal(RtlGetElementGenericTableAvl(&table, i), p);
            at++;
            i++;
        }
        assert_int_equal(i, RtlNumberGenericTableElementsAvl(&table));
    }
    for (int key = 0; key < 64; key++)
        RtlDeleteElementGenericTableAvl(&table, &key);
    assert_true(RtlIsGenericTableEmptyAvl(&table));
}

static void hash_table(struct nt_lab *lab)
{
    enum { COUNT = 3000 };
    static RTL_DYNAMIC_HASH_TABLE_ENTRY entries[COUNT];
    RTL_DYNAMIC_HASH_TABLE_CONTEXT context;
    RTL_DYNAMIC_HASH_TABLE_ENUMERATOR at;
    PRTL_DYNAMIC_HASH_TABLE table = NULL;

    (void)lab;
    assert_true(RtlCreateHashTable(&table, 0, 0));
    for (unsigned i = 0; i < COUNT; i++) {
        RtlInsertEntryHashTable(table, &entries[i], i / 2 + 1, NULL);
        if (i % 8 == 0)
            assert_true(RtlExpandHashTable(table));
    }
    for (unsigned i = 1; i <= COUNT / 2; i++) {
        assert_non_null(RtlLookupEntryHashTable(table, i, &context));
        assert_non_null(RtlGetNextEntryHashTable(table, &context));
        assert_null(RtlGetNextEntryHashTable(table, &context));
    }
    for (unsigned i = 0; i < 300; i++)
        assert_true(RtlContractHashTable(table));
    unsigned seen = 0;
    assert_true(RtlInitEnumerationHashTable(table, &at));
    for (PRTL_DYNAMIC_HASH_TABLE_ENTRY e; (e = RtlEnumerateEntryHashTable(table, &at)) != NULL; seen++)
        RtlRemoveEntryHashTable(table, e, NULL);
    RtlEndEnumerationHashTable(table, &at);
    assert_int_equal(seen, COUNT);
    assert_int_equal(RtlTotalEntriesHashTable(table), 0);
    assert_int_equal(RtlNonEmptyBucketsHashTable(table), 0);
    RtlDeleteHashTable(table);
}

static void descriptors(struct nt_lab *lab)
{
    SID_IDENTIFIER_AUTHORITY world = {{0, 0, 0, 0, 0, 1}};
    union {
        ACL acl;
        UCHAR room[64];
    } a;
    UCHAR sid[16];
    SECURITY_DESCRIPTOR sd;
    UNICODE_STRING text;
    PVOID ace;

    (void)lab;
    assert_int_equal(RtlInitializeSid(sid, &world, 1), STATUS_SUCCESS);
    *RtlSubAuthoritySid(sid, 0) = 0;
    assert_int_equal(RtlLengthSid(sid), 12);
    assert_int_equal(RtlConvertSidToUnicodeString(&text, sid, TRUE), STATUS_SUCCESS);
    assert_int_equal(text.Length, 14); /* S-1-1-0 */
    RtlFreeUnicodeString(&text);
    assert_int_equal(RtlCreateAcl(&a.acl, sizeof a, ACL_REVISION), STATUS_SUCCESS);
    assert_int_equal(RtlAddAccessAllowedAce(&a.acl, ACL_REVISION, GENERIC_READ, sid), STATUS_SUCCESS);
    assert_int_equal(RtlAddAccessDeniedAce(&a.acl, ACL_REVISION, GENERIC_WRITE, sid), STATUS_SUCCESS);
    assert_int_equal(RtlAddAccessAllowedAce(&a.acl, ACL_REVISION, 1, sid), STATUS_ALLOTTED_SPACE_EXCEEDED);
    assert_int_equal(RtlGetAce(&a.acl, 1, &ace), STATUS_SUCCESS);
    assert_int_equal(((ACE_HEADER *)ace)->AceType, ACCESS_DENIED_ACE_TYPE);
    assert_int_equal(RtlCreateSecurityDescriptor(&sd, SECURITY_DESCRIPTOR_REVISION), STATUS_SUCCESS);
    assert_int_equal(RtlSetDaclSecurityDescriptor(&sd, TRUE, &a.acl, FALSE), STATUS_SUCCESS);
    assert_true(RtlValidSecurityDescriptor(&sd));
    sid[1] = 16;
    assert_false(RtlValidSid(sid));
}

/* What a driver asks of a token that it was shown, both forms of a descriptor. */
static void tokens(void **state)
{
    static const struct {
        const char *sddl;
        ACCESS_MASK wanted, granted;
    } rows[] = {{"D:(A;;FR;;;BU)", FILE_READ_DATA, FILE_READ_DATA},
                {"D:(A;;FR;;;BU)", FILE_WRITE_DATA, 0},
                {"D:(D;;FR;;;BU)(A;;FA;;;WD)", FILE_READ_DATA, 0},
                {"D:(A;;FA;;;SY)", FILE_READ_DATA, 0},
                {"D:(A;;FR;;;WD)", GENERIC_READ, FILE_GENERIC_READ},
                {"D:(A;;FR;;;WD)", MAXIMUM_ALLOWED, FILE_GENERIC_READ}};
    _Alignas(8) UCHAR sid[SECURITY_MAX_SID_SIZE];
    GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS};
    struct security_token *token;

    (void)state;
    assert_int_equal(security_sid_parse("S-1-5-21-1-2-3-1001", (SID *)sid, sizeof sid), 0);
    assert_int_equal(security_token_plain_user((const SID *)sid, &token), 0);
    PTOKEN_ACCESS_INFORMATION info = (void *)security_token_blob(token)->data;
    for (size_t i = 0; i < ARRAYSIZE(rows); i++) {
        SECURITY_DESCRIPTOR absolute;
        BOOLEAN present, defaulted;
        ACCESS_MASK granted;
        NTSTATUS status;
        size_t size;
        void *sd;
        PACL dacl;
        assert_int_equal(security_sddl_parse(rows[i].sddl, &sd, &size, NULL), 0);
        assert_int_equal(RtlGetDaclSecurityDescriptor(sd, &present, &dacl, &defaulted), STATUS_SUCCESS);
        assert_int_equal(RtlCreateSecurityDescriptor(&absolute, SECURITY_DESCRIPTOR_REVISION),
                         STATUS_SUCCESS);
        assert_int_equal(RtlSetDaclSecurityDescriptor(&absolute, TRUE, dacl, FALSE), STATUS_SUCCESS);
        for (int form = 0; form < 2; form++) {
            BOOLEAN good = SeAccessCheckFromState(form == 0 ? sd : &absolute, info, NULL, rows[i].wanted, 0,
                                                  NULL, &mapping, UserMode, &granted, &status);
            assert_int_equal(good, rows[i].granted != 0);
            assert_int_equal(granted, rows[i].granted);
            assert_int_equal(status, good ? STATUS_SUCCESS : STATUS_ACCESS_DENIED);
        }
        assert_true(SeAccessCheckFromState(sd, info, NULL, rows[i].wanted, 0, NULL, &mapping, KernelMode,
                                           &granted, &status));
        free(sd);
    }
    security_token_destroy(token);
}

/* ---- against the contract
 * ------------------------------------------------------------------------------------------------- */
static NTSTATUS completes_twice(PDEVICE_OBJECT object, PIRP irp)
{
    (void)object;
    complete(irp, STATUS_SUCCESS, 0);
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static void misuse(struct nt_lab *lab)
{
    PDEVICE_OBJECT object = make(lab);
    struct nt_file *f;
    size_t done;

    nt_driver_object(lab->driver)->MajorFunction[IRP_MJ_READ] = completes_twice;
    assert_int_equal(nt_open(lab->k, "\\\\.\\LabLink", 0, &f), STATUS_SUCCESS);
    assert_int_equal(nt_read(f, NULL, 0, &done, LAB_MS), STATUS_SUCCESS);
    lab_expect_bug(lab, MULTIPLE_IRP_COMPLETE_REQUESTS, "completed twice");
    nt_close(f);
    unmake(object);
    PVOID nothing = ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, 0x74736574);
    ObfDereferenceObject(nothing);
    assert_int_equal(lab_found(lab, LEDGER_UNKNOWN), 1);
    ExFreePoolWithTag(nothing, 0x74736574);
}

#define BOTH(body)                                                                                           \
    static void body##_in_both(void **state)                                                                 \
    {                                                                                                        \
        (void)state;                                                                                         \
        nt_lab_both(body, NULL);                                                                             \
    }
BOTH(devices)
BOTH(kept_and_let_go)
BOTH(work_items)
BOTH(handles)
BOTH(registry)
BOTH(hash_table)
BOTH(descriptors)
BOTH(misuse)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_in_both),    cmocka_unit_test(kept_and_let_go_in_both),
        cmocka_unit_test(work_items_in_both), cmocka_unit_test(handles_in_both),
        cmocka_unit_test(registry_in_both),   cmocka_unit_test(avl),
        cmocka_unit_test(hash_table_in_both), cmocka_unit_test(descriptors_in_both),
        cmocka_unit_test(misuse_in_both),     cmocka_unit_test(tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
