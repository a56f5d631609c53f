/* SPDX-License-Identifier: Apache-2.0 */
/* A part of wdm.h: drivers, devices, IRPs, work items of devices, error log (src/nt/io_*.c). */
#ifndef WEIR_WDK_NT_IO_H
#define WEIR_WDK_NT_IO_H

typedef NTSTATUS DRIVER_INITIALIZE(PDRIVER_OBJECT driver, PUNICODE_STRING registry_path);
typedef DRIVER_INITIALIZE *PDRIVER_INITIALIZE;

#endif
