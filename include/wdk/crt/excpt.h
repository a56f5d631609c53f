/* SPDX-License-Identifier: Apache-2.0 */
/* excpt.h: the words of structured exception handling. */
#ifndef WEIR_WDK_CRT_EXCPT_H
#define WEIR_WDK_CRT_EXCPT_H

#define EXCEPTION_EXECUTE_HANDLER    1
#define EXCEPTION_CONTINUE_SEARCH    0
#define EXCEPTION_CONTINUE_EXECUTION (-1)

#define GetExceptionCode()         (0u)
#define _exception_code()          (0u)
#define exception_code()           (0u)
#define GetExceptionInformation()  ((struct _EXCEPTION_POINTERS *)0)
#define _exception_info()          ((struct _EXCEPTION_POINTERS *)0)
#define exception_info()           ((struct _EXCEPTION_POINTERS *)0)
#define AbnormalTermination()      (0)
#define _abnormal_termination()    (0)
#define abnormal_termination()     (0)

#endif
