/* SPDX-License-Identifier: Apache-2.0 */
/* nt_lab.h's driver as one of the framework's. */
#ifndef WEIR_TESTS_WDF_LAB_H
#define WEIR_TESTS_WDF_LAB_H

#include "nt_lab.h"
#include "wdf.h"

static inline VOID lab_framework_unloaded(WDFDRIVER driver)
{
    (void)driver;
}

/* A non-PnP driver object over the lab's, which a driver has one of. */
static inline WDFDRIVER lab_framework(struct nt_lab *lab)
{
    UNICODE_STRING path =
        RTL_CONSTANT_STRING(u"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\lab");
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags |= WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = lab_framework_unloaded;
    assert_int_equal(
        WdfDriverCreate(nt_driver_object(lab->driver), &path, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver),
        STATUS_SUCCESS);
    assert_ptr_equal(WdfDriverWdmGetDriverObject(driver), nt_driver_object(lab->driver));
    return driver;
}

#endif
