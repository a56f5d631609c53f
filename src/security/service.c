/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SIDs of services: S-1-5-80- and the SHA-1 of the service's name, upper case, in UTF-16 (win32
 * "Service SIDs", NT SERVICE\<name>). A digest cannot be undone, so a name is found by trying those we know.
 */
#include "security/internal.h"

#include <errno.h>

#define PREFIX "NT SERVICE\\"
/* Services of Windows itself, as `sc query` lists them. `first` is the first part of the digest, so that a
 * look-up hashes only the name that it finds; names compare without regard to case. */
static const struct known_service {
    uint32_t first;
    const char *name;
} services[] = {
#define S(first, name)                                                                                       \
    {                                                                                                        \
        first, PREFIX name                                                                                   \
    }
    S(0xd292637d, "AJRouter"),
    S(0x8e4c0734, "ALG"),
    S(0x7be35400, "AppIDSvc"),
    S(0x50394852, "Appinfo"),
    S(0xbf88486c, "AppMgmt"),
    S(0x78737113, "AppReadiness"),
    S(0xdbf1c357, "AppVClient"),
    S(0x74366f9f, "AppXSvc"),
    S(0x2912d822, "AssignedAccessManagerSvc"),
    S(0x5e3b5dd1, "AudioEndpointBuilder"),
    S(0x9f88e7c9, "Audiosrv"),
    S(0xbce774be, "autotimesvc"),
    S(0x3f18d694, "AxInstSV"),
    S(0xb0990078, "BDESVC"),
    S(0x5271287e, "BFE"),
    S(0x338d92d8, "BITS"),
    S(0x7688ed03, "BrokerInfrastructure"),
    S(0x2d9803b9, "Browser"),
    S(0xc5b4ca41, "BTAGService"),
    S(0x4b632c14, "BthAvctpSvc"),
    S(0x9a2bbae3, "bthserv"),
    S(0xc8d6f384, "camsvc"),
    S(0xcca73cad, "CDPSvc"),
    S(0xc2153fa1, "CertPropSvc"),
    S(0x03ecafb7, "ClipSVC"),
    S(0x2365d048, "COMSysApp"),
    S(0x3cdd5876, "CoreMessagingRegistrar"),
    S(0x0e77c298, "CryptSvc"),
    S(0x767c3e27, "CscService"),
    S(0x5f79fee5, "DcomLaunch"),
    S(0x9ef9c9c5, "dcsvc"),
    S(0x2702143f, "defragsvc"),
    S(0x9731fe64, "DeviceAssociationService"),
    S(0x9e841acd, "DeviceInstall"),
    S(0x621f78d8, "DevQueryBroker"),
    S(0xaf44c904, "Dhcp"),
    S(0xc3224d70, "DHCPServer"),
    S(0xcc482b82, "diagnosticshub.standardcollector.service"),
    S(0x8893a4f3, "diagsvc"),
    S(0x9c365d1f, "DiagTrack"),
    S(0xafb6c09b, "DialogBlockingService"),
    S(0xf89dbb43, "DispBrokerDesktopSvc"),
    S(0xe94f1a2e, "DisplayEnhancementService"),
    S(0x2013d42a, "DmEnrollmentSvc"),
    S(0xe4f6cd49, "dmwappushservice"),
    S(0xd786b056, "DNS"),
    S(0x333aa847, "Dnscache"),
    S(0xb619f84d, "DoSvc"),
    S(0xe1bfb16b, "dot3svc"),
    S(0xb10ff35e, "DPS"),
    S(0x110ce39e, "DsmSvc"),
    S(0x5c7eef34, "DsSvc"),
    S(0xf2ad84d1, "DusmSvc"),
    S(0xd547f0fa, "Eaphost"),
    S(0x2b86f136, "EFS"),
    S(0x0bbef615, "embeddedmode"),
    S(0xa3958028, "EntAppSvc"),
    S(0x347c9023, "EventLog"),
    S(0x69a74d1f, "EventSystem"),
    S(0x7e394f4c, "Fax"),
    S(0x15b29012, "fdPHost"),
    S(0xbfa51938, "FDResPub"),
    S(0x9c03fee6, "fhsvc"),
    S(0xd9df12d5, "FontCache"),
    S(0xe967ccf4, "FrameServer"),
    S(0xa320c60b, "FrameServerMonitor"),
    S(0x1aa2e62f, "GameInputSvc"),
    S(0x78a6a92c, "gpsvc"),
    S(0x5a782b40, "GraphicsPerfSvc"),
    S(0x055a8418, "hidserv"),
    S(0xf01b1100, "HomeGroupListener"),
    S(0x9c381d70, "HomeGroupProvider"),
    S(0x02ab4c62, "HvHost"),
    S(0x3b1c6430, "hns"),
    S(0xea967532, "icssvc"),
    S(0x29a82b1c, "IKEEXT"),
    S(0x8824211c, "InstallService"),
    S(0x4a050191, "InventorySvc"),
    S(0x03bd1a18, "iphlpsvc"),
    S(0xb0ed7a95, "IpOverUsbSvc"),
    S(0x8c602c73, "IpxlatCfgSvc"),
    S(0x47e3e88d, "KeyIso"),
    S(0x86331381, "KPSSVC"),
    S(0xa7fcb950, "KtmRm"),
    S(0x346f18aa, "LanmanServer"),
    S(0x2aea4d57, "LanmanWorkstation"),
    S(0xdcc6f35c, "lfsvc"),
    S(0x814308ec, "LicenseManager"),
    S(0x38112380, "lltdsvc"),
    S(0x0a41f279, "lmhosts"),
    S(0x495f3856, "LSM"),
    S(0x5f037117, "LxpSvc"),
    S(0xb48862d7, "MapsBroker"),
    S(0x503b420d, "McpManagementService"),
    S(0x3ea1a85b, "McmSvc"),
    S(0x5bfb3770, "MixedRealityOpenXRSvc"),
    S(0xa6e1b762, "MMCSS"),
    S(0xb81041f1, "MpsSvc"),
    S(0xec0f32e5, "MSDTC"),
    S(0x36b6dc7d, "MSiSCSI"),
    S(0x28d95d6c, "msiserver"),
    S(0xddb046cf, "MsKeyboardFilter"),
    S(0x64f5349e, "NaturalAuthentication"),
    S(0x093cb77b, "NcaSvc"),
    S(0xbce3d5c8, "NcbService"),
    S(0x26175f81, "NcdAutoSetup"),
    S(0x5ebb1079, "Netlogon"),
    S(0xacc5e204, "Netman"),
    S(0xd8b85202, "netprofm"),
    S(0xc41f68d2, "NetSetupSvc"),
    S(0x69baf84a, "NetTcpPortSharing"),
    S(0xd553b8af, "NetTcpActivator"),
    S(0x8def0b57, "NgcCtnrSvc"),
    S(0x772a9f16, "NgcSvc"),
    S(0xbb413e44, "NlaSvc"),
    S(0x89bbbdb2, "nsi"),
    S(0xbbcf8d94, "NtmsSvc"),
    S(0x382f0617, "nvagent"),
    S(0x39aade8e, "p2pimsvc"),
    S(0x758401f4, "p2psvc"),
    S(0x7426fcfa, "PcaSvc"),
    S(0xba3514a0, "PeerDistSvc"),
    S(0xd66481d2, "PerfHost"),
    S(0xfb49f864, "perceptionsimulation"),
    S(0x9d27826e, "PhoneSvc"),
    S(0x9ea08f81, "pla"),
    S(0x762279eb, "PlugPlay"),
    S(0xbb43c740, "PNRPAutoReg"),
    S(0x16336871, "PNRPsvc"),
    S(0xb5780979, "PolicyAgent"),
    S(0x8badb25b, "Power"),
    S(0x4a8f2f62, "PrintNotify"),
    S(0xe37e7daf, "ProfSvc"),
    S(0xafd22743, "PushToInstall"),
    S(0x62e42435, "QWAVE"),
    S(0x6b6f78a0, "RasAuto"),
    S(0xf8ee4d1a, "RasMan"),
    S(0x7482cdd1, "RemoteAccess"),
    S(0xa83c0a80, "RemoteRegistry"),
    S(0x1b467a0b, "RetailDemo"),
    S(0xe07862cd, "RmSvc"),
    S(0x1f12c0c6, "RpcEptMapper"),
    S(0xf1c1e256, "RpcLocator"),
    S(0x3a62d80a, "RpcSs"),
    S(0xf3cd6f2d, "RSoPProv"),
    S(0xb54dc0eb, "sacsvr"),
    S(0xcdd48763, "SamSs"),
    S(0x48164832, "SCardSvr"),
    S(0xee0c95a0, "ScDeviceEnum"),
    S(0xf5dfea09, "Schedule"),
    S(0x64d2d451, "SCPolicySvc"),
    S(0xb1cf0673, "SDRSVC"),
    S(0x53723876, "seclogon"),
    S(0x0f748cdb, "SecurityHealthService"),
    S(0x84bcd217, "SEMgrSvc"),
    S(0xfddedd5d, "SENS"),
    S(0x5ad48a85, "Sense"),
    S(0xe49aed8c, "SensorDataService"),
    S(0x33ce37b6, "SensorService"),
    S(0xbcdb0d9c, "SensrSvc"),
    S(0xefc18333, "SessionEnv"),
    S(0xdcf20c5f, "SgrmBroker"),
    S(0x77c3f0f1, "SharedAccess"),
    S(0xc17eedaa, "SharedRealitySvc"),
    S(0x64c86440, "ShellHWDetection"),
    S(0xf4c0b143, "shpamsvc"),
    S(0x0dba87da, "smphost"),
    S(0xafdc689e, "SmsRouter"),
    S(0x158bd7a4, "SNMP"),
    S(0xec4ebedb, "SNMPTRAP"),
    S(0xa2ca14de, "spectrum"),
    S(0xeb83221f, "Spooler"),
    S(0x07585bf0, "sppsvc"),
    S(0x7d7e8435, "sppuinotify"),
    S(0x1d007150, "SSDPSRV"),
    S(0x87bdabc0, "ssh-agent"),
    S(0xe559c89f, "sshd"),
    S(0xccc8a67e, "SstpSvc"),
    S(0xf575e6a2, "StateRepository"),
    S(0xbdb88223, "stisvc"),
    S(0xc806e1ce, "StorSvc"),
    S(0x940a5bc7, "svsvc"),
    S(0x60392e07, "swprv"),
    S(0x9a657867, "SysMain"),
    S(0x631ccf09, "SystemEventsBroker"),
    S(0x389ea59c, "TabletInputService"),
    S(0xfc2e9d18, "TapiSrv"),
    S(0xf8639735, "TBS"),
    S(0x1a963466, "TermService"),
    S(0x5d90c04b, "TextInputManagementService"),
    S(0x46e54be5, "Themes"),
    S(0x0363509b, "THREADORDER"),
    S(0x19772f78, "TieringEngineService"),
    S(0xd40e55a9, "TimeBroker"),
    S(0x187ed4d7, "TimeBrokerSvc"),
    S(0xf3056241, "TokenBroker"),
    S(0x2dd2683b, "TrkWks"),
    S(0x43ebbb9e, "TroubleshootingSvc"),
    S(0x38fb89b5, "TrustedInstaller"),
    S(0xd913352c, "tzautoupdate"),
    S(0x7fed4789, "UALSVC"),
    S(0x61bf8dd7, "UevAgentService"),
    S(0x3b7a8e67, "UI0Detect"),
    S(0x7814c1fa, "UmRdpService"),
    S(0x1ac0d940, "upnphost"),
    S(0x77b8dce2, "UserManager"),
    S(0x0d5708f9, "UsoSvc"),
    S(0xa7cc6629, "UxSms"),
    S(0x76994bc6, "VacSvc"),
    S(0xaceeb3ae, "VaultSvc"),
    S(0x82ea584c, "vds"),
    S(0xe682b3b8, "vmcompute"),
    S(0xb74889ba, "vmicguestinterface"),
    S(0x1fe2795d, "vmicheartbeat"),
    S(0x6fe572c0, "vmickvpexchange"),
    S(0xb7646cd4, "vmicrdv"),
    S(0xb96375a0, "vmicshutdown"),
    S(0xb8b0a830, "vmictimesync"),
    S(0x0e0ab2e2, "vmicvmsession"),
    S(0x686ebf68, "vmicvss"),
    S(0x16396d1b, "vmms"),
    S(0xbe70c8df, "VSS"),
    S(0xfe5a7571, "W32Time"),
    S(0x3aff198e, "W3SVC"),
    S(0x81491faa, "WaaSMedicSvc"),
    S(0x6fb7f9e5, "WalletService"),
    S(0x7fe61523, "WarpJITSvc"),
    S(0x3f4a2ad0, "WAS"),
    S(0x5c5c43c1, "wbengine"),
    S(0x5e045a19, "WbioSrvc"),
    S(0xf7b3fcba, "Wcmsvc"),
    S(0x5cbc9816, "wcncsvc"),
    S(0xbb1bbf6e, "WdiServiceHost"),
    S(0xd2178bf3, "WdiSystemHost"),
    S(0xdaad9cd1, "WdNisSvc"),
    S(0x135e7dc3, "WebClient"),
    S(0xa58503a4, "WebThreatDefSvc"),
    S(0xf1fab443, "Wecsvc"),
    S(0x4c765ecf, "WEPHOSTSVC"),
    S(0xd642e02a, "wercplsupport"),
    S(0xc4affe30, "WerSvc"),
    S(0x5925c7cb, "WFDSConMgrSvc"),
    S(0x1fca6e45, "WiaRpc"),
    S(0x720855bf, "WinDefend"),
    S(0x925ae336, "WinHttpAutoProxySvc"),
    S(0xdf8d045a, "Winmgmt"),
    S(0xef5bb4e6, "WinNat"),
    S(0x21ee2a86, "WinRM"),
    S(0x90d34f81, "wisvc"),
    S(0x551df893, "WlanSvc"),
    S(0xafff0147, "wlidsvc"),
    S(0xe96b24f0, "wlpasvc"),
    S(0xd53daa5f, "WManSvc"),
    S(0x6e59b0df, "wmiApSrv"),
    S(0x8d9a0b39, "WMPNetworkSvc"),
    S(0xb3379720, "workfolderssvc"),
    S(0x8059039b, "WPCSvc"),
    S(0x9e6d2eff, "WpcMonSvc"),
    S(0x06c0fb67, "WPDBusEnum"),
    S(0x73912711, "WpnService"),
    S(0xed564f19, "WwanSvc"),
    S(0xc0af48df, "wscsvc"),
    S(0x06ffa250, "WSearch"),
    S(0x4927ee33, "WSService"),
    S(0x3c728f1c, "wuauserv"),
    S(0x9e1ca8f1, "wudfsvc"),
    S(0x1c2f58d4, "XblAuthManager"),
    S(0x9de7ec94, "XblGameSave"),
    S(0xd6e5f306, "XboxGipSvc"),
    S(0x50a0ce37, "XboxNetApiSvc"),
    S(0x23f47017, "xbgm"),
    S(0x21d37667, "AppHostSvc"),
    S(0xdf934e14, "IISADMIN"),
    S(0x65058929, "MSMQ"),
    S(0x826c87e3, "NfsClnt"),
    S(0x0bcb85bb, "iprip"),
    S(0xf45d60e0, "simptcp"),
    S(0xaf3b6cf3, "TlntSvr"),
    S(0x0f5d2923, "WMSVC"),
    S(0x779d5949, "napagent"),
    S(0x51e105fe, "hkmsvc"),
    S(0x933e76a3, "SCManager"),
    S(0x5a8b7273, "RpcHttpLBS"),
    S(0xb1eb5de0, "idsvc"),
#undef S
};

int security_service_sid(const char *name, SID *out, size_t out_size)
{
    struct sec_buf utf16 = {0};
    uint8_t sid[8 + 4 * 6] = {1, 6, 0, 0, 0, 0, 0, 5};
    size_t length = strlen(name);
    int status = -EINVAL;
    if (length == 0) {
        return -EINVAL;
    }
    for (size_t at = 0; at < length;) {
        uint32_t c;
        size_t n = sec_utf8_next(name + at, length - at, &c);
        if (n == 0) {
            goto out;
        }
        sec_buf_utf16(&utf16, c < 0x10000 ? sec_upcase((char16_t)c) : c);
        at += n;
    }
    if (utf16.failed) {
        status = -ENOMEM;
        goto out;
    }
    if (out_size < sizeof(sid)) {
        status = -ENOSPC;
        goto out;
    }
    static const uint32_t base = 80; /* SECURITY_SERVICE_ID_BASE_RID */
    memcpy(sid + 8, &base, sizeof(base));
    sec_sha1(utf16.data, utf16.size, sid + 12);
    memcpy(out, sid, sizeof(sid));
    status = 0;
out:
    sec_buf_free(&utf16);
    return status;
}

const char *security_service_name_among(const SID *sid, const char *const *names, size_t count)
{
    uint8_t candidate[SECURITY_MAX_SID_SIZE] __attribute__((aligned(4)));
    for (size_t i = 0; i < count; i++) {
        const char *bare = strrchr(names[i], '\\');
        bare = bare != NULL ? bare + 1 : names[i];
        if (security_service_sid(bare, (SID *)candidate, sizeof(candidate)) == 0 &&
            sec_sid_equal(candidate, (const uint8_t *)sid)) {
            return names[i];
        }
    }
    return NULL;
}

const char *security_service_name(const SID *sid)
{
    if (security_sid_kind(sid) != SECURITY_SID_SERVICE) {
        return NULL;
    }
    if (sid->SubAuthorityCount < 2) {
        return NULL;
    }
    const ULONG *authorities = sid->SubAuthority; /* declared with one, there are SubAuthorityCount */
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        const char *name = services[i].first == authorities[1] ? services[i].name : NULL;
        if (name != NULL && security_service_name_among(sid, &name, 1) != NULL) {
            return name;
        }
    }
    return NULL;
}
