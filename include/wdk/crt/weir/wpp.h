/* SPDX-License-Identifier: Apache-2.0 */
/* What a .tmh file would say: tracing by WPP is nothing. weir cc adds the trace functions that a driver defines. */
#ifndef WEIR_WDK_CRT_WPP_H
#define WEIR_WDK_CRT_WPP_H

#define WPP_INIT_TRACING(...)          ((void)0)
#define WPP_CLEANUP(...)               ((void)0)
#define WPP_SYSTEMCONTROL(...)         ((void)0)
#define WPP_SYSTEMCONTROL2(...)        ((void)0)
#define WPP_LEVEL_ENABLED(...)         (0)
#define WPP_LEVEL_FLAGS_ENABLED(...)   (0)
#define WPP_FLAGS_LEVEL_ENABLED(...)   (0)
#define WPP_FLAG_ENABLED(...)          (0)
#define WPP_RECORDER_INITIALIZE(...)   ((void)0)
#define DoTraceMessage(...)            ((void)0)
#define DoTraceLevelMessage(...)       ((void)0)

#endif
