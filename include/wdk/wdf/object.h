/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdf.h: objects, their attributes and contexts. */
#ifndef WEIR_WDK_WDF_OBJECT_H
#define WEIR_WDK_WDF_OBJECT_H

typedef VOID EVT_WDF_OBJECT_CONTEXT_CLEANUP(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_CLEANUP *PFN_WDF_OBJECT_CONTEXT_CLEANUP;
typedef VOID EVT_WDF_OBJECT_CONTEXT_DESTROY(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_DESTROY *PFN_WDF_OBJECT_CONTEXT_DESTROY;

/* Two declarations of a context type are the same if their names are. */
typedef struct _WDF_OBJECT_CONTEXT_TYPE_INFO {
    ULONG Size;
    PCHAR ContextName;
    size_t ContextSize;
    const struct _WDF_OBJECT_CONTEXT_TYPE_INFO *UniqueType;
    PVOID EvtDriverGetUniqueContextType;
} WDF_OBJECT_CONTEXT_TYPE_INFO, *PWDF_OBJECT_CONTEXT_TYPE_INFO;
typedef const WDF_OBJECT_CONTEXT_TYPE_INFO *PCWDF_OBJECT_CONTEXT_TYPE_INFO;

typedef struct _WDF_OBJECT_ATTRIBUTES {
    ULONG Size;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP EvtCleanupCallback;
    PFN_WDF_OBJECT_CONTEXT_DESTROY EvtDestroyCallback;
    WDF_EXECUTION_LEVEL ExecutionLevel;
    WDF_SYNCHRONIZATION_SCOPE SynchronizationScope;
    WDFOBJECT ParentObject;
    size_t ContextSizeOverride;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO ContextTypeInfo;
} WDF_OBJECT_ATTRIBUTES, *PWDF_OBJECT_ATTRIBUTES;

WEIR_INLINE VOID WDF_OBJECT_ATTRIBUTES_INIT(PWDF_OBJECT_ATTRIBUTES Attributes)
{
    memset(Attributes, 0, sizeof(*Attributes));
    Attributes->Size = sizeof(*Attributes);
    Attributes->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    Attributes->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}

#define WDF_TYPE_NAME_POINTER_TYPE(_contexttype) WDF_POINTER_TYPE_##_contexttype
#define WEIR_WDF_TYPE_INFO(_contexttype)         _WDF_##_contexttype##_TYPE_INFO
#define WDF_GET_CONTEXT_TYPE_INFO(_contexttype)  (&WEIR_WDF_TYPE_INFO(_contexttype))
#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(_contexttype, _castingfunction)                                   \
    static const WDF_OBJECT_CONTEXT_TYPE_INFO WEIR_WDF_TYPE_INFO(_contexttype)                               \
        __attribute__((unused)) = {sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), (PCHAR)(ULONG_PTR) #_contexttype,   \
                                   sizeof(_contexttype), &WEIR_WDF_TYPE_INFO(_contexttype), NULL};           \
    typedef _contexttype *WDF_TYPE_NAME_POINTER_TYPE(_contexttype);                                          \
    static inline __attribute__((unused)) _contexttype *_castingfunction(WDFOBJECT Handle)                   \
    {                                                                                                        \
        return (_contexttype *)WdfObjectGetTypedContextWorker(Handle, &WEIR_WDF_TYPE_INFO(_contexttype));    \
    }
#define WDF_DECLARE_CONTEXT_TYPE(_contexttype)                                                               \
    WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(_contexttype, WdfObjectGet_##_contexttype)
#define WDF_DECLARE_TYPE(_contexttype) WDF_DECLARE_CONTEXT_TYPE(_contexttype)
#define WdfObjectGetTypedContext(handle, type)                                                               \
    ((type *)WdfObjectGetTypedContextWorker((WDFOBJECT)(handle), WDF_GET_CONTEXT_TYPE_INFO(type)))
#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(_attributes, _contexttype)                                    \
    (_attributes)->ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(_contexttype)
#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(_attributes, _contexttype)                                   \
    do {                                                                                                     \
        WDF_OBJECT_ATTRIBUTES_INIT(_attributes);                                                             \
        WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(_attributes, _contexttype);                                   \
    } while (0)

NTSTATUS WdfObjectCreate(PWDF_OBJECT_ATTRIBUTES Attributes, WDFOBJECT *Object);
VOID WdfObjectDelete(WDFOBJECT Object);
NTSTATUS WdfObjectAllocateContext(WDFOBJECT Handle, PWDF_OBJECT_ATTRIBUTES ContextAttributes, PVOID *Context);
PVOID WdfObjectGetTypedContextWorker(WDFOBJECT Handle, PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo);
WDFOBJECT WdfObjectContextGetObject(PVOID ContextPointer);
VOID WdfObjectReferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File);
VOID WdfObjectDereferenceActual(WDFOBJECT Handle, PVOID Tag, LONG Line, PCHAR File);
#define WdfObjectReference(Handle)                                                                           \
    WdfObjectReferenceActual((Handle), NULL, __LINE__, (PCHAR)(ULONG_PTR)__FILE__)
#define WdfObjectReferenceWithTag(Handle, Tag)                                                               \
    WdfObjectReferenceActual((Handle), (Tag), __LINE__, (PCHAR)(ULONG_PTR)__FILE__)
#define WdfObjectDereference(Handle)                                                                         \
    WdfObjectDereferenceActual((Handle), NULL, __LINE__, (PCHAR)(ULONG_PTR)__FILE__)
#define WdfObjectDereferenceWithTag(Handle, Tag)                                                             \
    WdfObjectDereferenceActual((Handle), (Tag), __LINE__, (PCHAR)(ULONG_PTR)__FILE__)

#endif
