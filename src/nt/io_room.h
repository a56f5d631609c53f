/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nt.c calls of devices, the registry and the framework, for each kernel and each driver.
 */
#ifndef WEIR_NT_IO_ROOM_H
#define WEIR_NT_IO_ROOM_H

#include "nt.h"

/* Of a kernel: the namespace of devices and links, the registry, open files, shutdown notifications. */
struct io_room;
int io_room_create(struct nt *k, struct io_room **out); /* 0, -ENOMEM */
/* After all drivers are gone. */
void io_room_destroy(struct io_room *r);

/* Of a driver: DRIVER_OBJECT and what hangs on it. */
struct io_driver;
/* Makes the DRIVER_OBJECT and writes the service's key with `parameters`. 0, -ENOMEM. */
int io_driver_create(struct nt_driver *d, const struct nt_driver_config *config, struct io_driver **out);
DRIVER_OBJECT *io_driver_object(struct io_driver *io);
/* \REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\<name>: what DriverEntry is given. */
UNICODE_STRING *io_driver_registry_path(struct io_driver *io);
/* Before DriverUnload: no new file opens; open files of a test program are closed. After it: what the
 * framework owns is deleted (children first). Both at PASSIVE_LEVEL in the driver's context. */
void io_driver_unload_begin(struct io_driver *io);
void io_driver_unload_end(struct io_driver *io);
void io_driver_destroy(struct io_driver *io);
struct nt_driver *io_driver_of(struct _DRIVER_OBJECT *object); /* NULL: not one of ours */

#endif
