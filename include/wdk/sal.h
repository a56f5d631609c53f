/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sal.h: Microsoft's source annotations, accepted and ignored.
 *
 * Driver sources carry them on every parameter; here they all expand to nothing, so that the sources compile
 * as they are. Those that state an IRQL or a lock may be given meaning by a later checker.
 */
#ifndef WEIR_WDK_SAL_H
#define WEIR_WDK_SAL_H

/* Parameters and return values. */
#define _In_
#define _In_opt_
#define _In_z_
#define _In_opt_z_
#define _In_reads_(n)
#define _In_reads_opt_(n)
#define _In_reads_bytes_(n)
#define _In_reads_bytes_opt_(n)
#define _In_reads_z_(n)
#define _In_range_(lo, hi)
#define _In_count_(n)
#define _In_bytecount_(n)
#define _Out_
#define _Out_opt_
#define _Out_writes_(n)
#define _Out_writes_opt_(n)
#define _Out_writes_z_(n)
#define _Out_writes_all_(n)
#define _Out_writes_bytes_(n)
#define _Out_writes_bytes_opt_(n)
#define _Out_writes_bytes_all_(n)
#define _Out_writes_bytes_to_(n, c)
#define _Out_writes_bytes_to_opt_(n, c)
#define _Out_writes_to_(n, c)
#define _Out_writes_to_opt_(n, c)
#define _Out_range_(lo, hi)
#define _Outptr_
#define _Outptr_opt_
#define _Outptr_result_maybenull_
#define _Outptr_opt_result_maybenull_
#define _Outptr_result_bytebuffer_(n)
#define _Outptr_result_buffer_(n)
#define _Outptr_result_z_
#define _COM_Outptr_
#define _Inout_
#define _Inout_opt_
#define _Inout_z_
#define _Inout_updates_(n)
#define _Inout_updates_opt_(n)
#define _Inout_updates_bytes_(n)
#define _Inout_updates_bytes_opt_(n)
#define _Inout_updates_all_(n)
#define _Inout_updates_bytes_all_(n)
#define _Deref_out_
#define _Deref_out_opt_
#define _Deref_pre_z_
#define _Reserved_
#define _Const_
#define _Pre_
#define _Pre_z_
#define _Pre_null_
#define _Pre_notnull_
#define _Pre_maybenull_
#define _Pre_valid_
#define _Pre_invalid_
#define _Pre_opt_valid_
#define _Prepost_z_
#define _Post_
#define _Post_z_
#define _Post_null_
#define _Post_notnull_
#define _Post_maybenull_
#define _Post_valid_
#define _Post_invalid_
#define _Post_ptr_invalid_
#define _Post_satisfies_(e)
#define _Post_writable_byte_size_(n)
#define _Post_writable_size_(n)
#define _Post_readable_byte_size_(n)
#define _Ret_
#define _Ret_z_
#define _Ret_notnull_
#define _Ret_maybenull_
#define _Ret_valid_
#define _Ret_writes_(n)
#define _Ret_writes_bytes_(n)
#define _Ret_writes_bytes_maybenull_(n)
#define _Ret_range_(lo, hi)
#define _Return_type_success_(e)
#define _Check_return_
#define _Must_inspect_result_
#define _Success_(e)
#define _On_failure_(a)
#define _Always_(a)
#define _When_(e, a)
#define _At_(t, a)
#define _At_buffer_(t, i, n, a)
#define _Group_(a)
#define _Notnull_
#define _Maybenull_
#define _Notvalid_
#define _Null_terminated_
#define _NullNull_terminated_
#define _Printf_format_string_
#define _Points_to_data_
#define _Literal_
#define _Notliteral_
#define _Strict_type_match_
#define _Struct_size_bytes_(n)
#define _Field_size_(n)
#define _Field_size_opt_(n)
#define _Field_size_part_(n, c)
#define _Field_size_bytes_(n)
#define _Field_size_bytes_opt_(n)
#define _Field_size_bytes_full_(n)
#define _Field_size_bytes_part_(n, c)
#define _Field_size_full_(n)
#define _Field_z_
#define _Field_range_(lo, hi)
#define _Writable_bytes_(n)
#define _Writable_elements_(n)
#define _Readable_bytes_(n)
#define _Readable_elements_(n)
#define _Unchanged_(e)
#define _Satisfies_(e)
#define _Enum_is_bitflag_
#define _Function_class_(n)
#define _Dispatch_type_(n)
#define _Use_decl_annotations_
#define _Analysis_assume_(e)                ((void)0)
#define _Analysis_assume_lock_acquired_(l)  ((void)0)
#define _Analysis_assume_lock_released_(l)  ((void)0)
#define _Analysis_assume_lock_held_(l)      ((void)0)
#define _Analysis_assume_lock_not_held_(l)  ((void)0)
#define _Analysis_assume_nullterminated_(s) ((void)0)
#define _Analysis_assume_same_lock_(a, b)   ((void)0)
#define _Analysis_suppress_lock_checking_(l)
#define _Analysis_noreturn_
#define __analysis_assume(e) ((void)0)

/* Drivers: IRQL, locks, memory, context. */
#define _IRQL_requires_(i)
#define _IRQL_requires_max_(i)
#define _IRQL_requires_min_(i)
#define _IRQL_requires_same_
#define _IRQL_saves_
#define _IRQL_saves_global_(k, p)
#define _IRQL_restores_
#define _IRQL_restores_global_(k, p)
#define _IRQL_raises_(i)
#define _IRQL_always_function_max_(i)
#define _IRQL_always_function_min_(i)
#define _IRQL_is_cancel_
#define _IRQL_uses_cancel_
#define _Kernel_clear_do_init_(y)
#define _Kernel_float_saved_
#define _Kernel_float_restored_
#define _Kernel_float_used_
#define _Kernel_requires_resource_held_(k)
#define _Kernel_requires_resource_not_held_(k)
#define _Kernel_acquires_resource_(k)
#define _Kernel_releases_resource_(k)
#define _Kernel_IoGetDmaAdapter_
#define _Requires_lock_held_(l)
#define _Requires_lock_not_held_(l)
#define _Requires_exclusive_lock_held_(l)
#define _Requires_shared_lock_held_(l)
#define _Requires_no_locks_held_
#define _Acquires_lock_(l)
#define _Acquires_exclusive_lock_(l)
#define _Acquires_shared_lock_(l)
#define _Acquires_nonreentrant_lock_(l)
#define _Releases_lock_(l)
#define _Releases_exclusive_lock_(l)
#define _Releases_shared_lock_(l)
#define _Releases_nonreentrant_lock_(l)
#define _Has_lock_kind_(k)
#define _Has_lock_level_(n)
#define _Create_lock_level_(n)
#define _Guarded_by_(l)
#define _Write_guarded_by_(l)
#define _Interlocked_
#define _Interlocked_operand_
#define _Post_same_lock_(a, b)
#define _Lock_level_order_(a, b)
#define __drv_allocatesMem(k)
#define __drv_freesMem(k)
#define __drv_aliasesMem
#define __drv_dispatchType(k)
#define __drv_maxIRQL(i)
#define __drv_minIRQL(i)
#define __drv_requiresIRQL(i)
#define __drv_sameIRQL
#define __drv_raisesIRQL(i)
#define __drv_savesIRQL
#define __drv_restoresIRQL
#define __drv_maxFunctionIRQL(i)
#define __drv_functionClass(n)
#define __drv_when(e, a)
#define __drv_at(t, a)
#define __drv_in(a)
#define __drv_out(a)
#define __drv_mustHold(k)
#define __drv_mustHoldCriticalRegion
#define __drv_neverHold(k)
#define __drv_acquiresExclusiveResource(k)
#define __drv_releasesExclusiveResource(k)
#define __drv_strictTypeMatch(m)
#define __drv_strictType(t, m)
#define __drv_preferredFunction(f, w)
#define __drv_reportError(w)
#define __drv_clearDoInit(y)
#define __drv_interlocked
#define __drv_inTry
#define __drv_isObjectPointer
#define __drv_unit(u)
#define __drv_valueIs(v)
#define __drv_typeCond

/* The first generation of annotations, still found in samples. */
#define __in
#define __in_opt
#define __in_bcount(n)
#define __in_bcount_opt(n)
#define __in_ecount(n)
#define __in_ecount_opt(n)
#define __in_z
#define __out
#define __out_opt
#define __out_bcount(n)
#define __out_bcount_opt(n)
#define __out_bcount_part(n, c)
#define __out_ecount(n)
#define __out_ecount_opt(n)
#define __out_ecount_part(n, c)
#define __inout
#define __inout_opt
#define __inout_bcount(n)
#define __inout_bcount_opt(n)
#define __inout_ecount(n)
#define __inout_ecount_opt(n)
#define __deref_out
#define __deref_out_opt
#define __deref_opt_out
#define __deref_inout
#define __deref_inout_opt
#define __reserved
#define __checkReturn
#define __callback
#define __success(e)
#define __nullterminated
#define __field_ecount(n)
#define __field_bcount(n)
#define __field_ecount_opt(n)
#define __field_bcount_opt(n)
#define __struct_bcount(n)
#define __range(lo, hi)

#ifdef WEIR_WDK_CRT_COMPILER_H
#include "crt/weir/sal.h"
#endif

#endif
