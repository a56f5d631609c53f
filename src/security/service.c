/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SIDs of services: S-1-5-80- and the SHA-1 of the service's name, upper case, in UTF-16 (win32
 * "Service SIDs", NT SERVICE\<name>). A digest cannot be undone, so a name is found by trying those we know.
 */
#include "security/internal.h"

#include <errno.h>

#define PREFIX "NT SERVICE\\"
/* Services of Windows itself, as `sc query` lists them. */
static const char *const service_names[] = {
#define S(name) PREFIX name
    S("AJRouter"),
    S("ALG"),
    S("AppIDSvc"),
    S("Appinfo"),
    S("AppMgmt"),
    S("AppReadiness"),
    S("AppVClient"),
    S("AppXSvc"),
    S("AssignedAccessManagerSvc"),
    S("AudioEndpointBuilder"),
    S("Audiosrv"),
    S("autotimesvc"),
    S("AxInstSV"),
    S("BDESVC"),
    S("BFE"),
    S("BITS"),
    S("BrokerInfrastructure"),
    S("Browser"),
    S("BTAGService"),
    S("BthAvctpSvc"),
    S("bthserv"),
    S("camsvc"),
    S("CDPSvc"),
    S("CertPropSvc"),
    S("ClipSVC"),
    S("COMSysApp"),
    S("CoreMessagingRegistrar"),
    S("CryptSvc"),
    S("CscService"),
    S("DcomLaunch"),
    S("dcsvc"),
    S("defragsvc"),
    S("DeviceAssociationService"),
    S("DeviceInstall"),
    S("DevQueryBroker"),
    S("Dhcp"),
    S("DHCPServer"),
    S("diagnosticshub.standardcollector.service"),
    S("diagsvc"),
    S("DiagTrack"),
    S("DialogBlockingService"),
    S("DispBrokerDesktopSvc"),
    S("DisplayEnhancementService"),
    S("DmEnrollmentSvc"),
    S("dmwappushservice"),
    S("DNS"),
    S("Dnscache"),
    S("DoSvc"),
    S("dot3svc"),
    S("DPS"),
    S("DsmSvc"),
    S("DsSvc"),
    S("DusmSvc"),
    S("Eaphost"),
    S("EFS"),
    S("embeddedmode"),
    S("EntAppSvc"),
    S("EventLog"),
    S("EventSystem"),
    S("Fax"),
    S("fdPHost"),
    S("FDResPub"),
    S("fhsvc"),
    S("FontCache"),
    S("FrameServer"),
    S("FrameServerMonitor"),
    S("GameInputSvc"),
    S("gpsvc"),
    S("GraphicsPerfSvc"),
    S("hidserv"),
    S("HomeGroupListener"),
    S("HomeGroupProvider"),
    S("HvHost"),
    S("hns"),
    S("icssvc"),
    S("IKEEXT"),
    S("InstallService"),
    S("InventorySvc"),
    S("iphlpsvc"),
    S("IpOverUsbSvc"),
    S("IpxlatCfgSvc"),
    S("KeyIso"),
    S("KPSSVC"),
    S("KtmRm"),
    S("LanmanServer"),
    S("LanmanWorkstation"),
    S("lfsvc"),
    S("LicenseManager"),
    S("lltdsvc"),
    S("lmhosts"),
    S("LSM"),
    S("LxpSvc"),
    S("MapsBroker"),
    S("McpManagementService"),
    S("McmSvc"),
    S("MixedRealityOpenXRSvc"),
    S("MMCSS"),
    S("MpsSvc"),
    S("MSDTC"),
    S("MSiSCSI"),
    S("msiserver"),
    S("MsKeyboardFilter"),
    S("NaturalAuthentication"),
    S("NcaSvc"),
    S("NcbService"),
    S("NcdAutoSetup"),
    S("Netlogon"),
    S("Netman"),
    S("netprofm"),
    S("NetSetupSvc"),
    S("NetTcpPortSharing"),
    S("NetTcpActivator"),
    S("NgcCtnrSvc"),
    S("NgcSvc"),
    S("NlaSvc"),
    S("nsi"),
    S("NtmsSvc"),
    S("nvagent"),
    S("p2pimsvc"),
    S("p2psvc"),
    S("PcaSvc"),
    S("PeerDistSvc"),
    S("PerfHost"),
    S("perceptionsimulation"),
    S("PhoneSvc"),
    S("pla"),
    S("PlugPlay"),
    S("PNRPAutoReg"),
    S("PNRPsvc"),
    S("PolicyAgent"),
    S("Power"),
    S("PrintNotify"),
    S("ProfSvc"),
    S("PushToInstall"),
    S("QWAVE"),
    S("RasAuto"),
    S("RasMan"),
    S("RemoteAccess"),
    S("RemoteRegistry"),
    S("RetailDemo"),
    S("RmSvc"),
    S("RpcEptMapper"),
    S("RpcLocator"),
    S("RpcSs"),
    S("RSoPProv"),
    S("sacsvr"),
    S("SamSs"),
    S("SCardSvr"),
    S("ScDeviceEnum"),
    S("Schedule"),
    S("SCPolicySvc"),
    S("SDRSVC"),
    S("seclogon"),
    S("SecurityHealthService"),
    S("SEMgrSvc"),
    S("SENS"),
    S("Sense"),
    S("SensorDataService"),
    S("SensorService"),
    S("SensrSvc"),
    S("SessionEnv"),
    S("SgrmBroker"),
    S("SharedAccess"),
    S("SharedRealitySvc"),
    S("ShellHWDetection"),
    S("shpamsvc"),
    S("smphost"),
    S("SmsRouter"),
    S("SNMP"),
    S("SNMPTRAP"),
    S("spectrum"),
    S("Spooler"),
    S("sppsvc"),
    S("sppuinotify"),
    S("SSDPSRV"),
    S("ssh-agent"),
    S("sshd"),
    S("SstpSvc"),
    S("StateRepository"),
    S("stisvc"),
    S("StorSvc"),
    S("svsvc"),
    S("swprv"),
    S("SysMain"),
    S("SystemEventsBroker"),
    S("TabletInputService"),
    S("TapiSrv"),
    S("TBS"),
    S("TermService"),
    S("TextInputManagementService"),
    S("Themes"),
    S("THREADORDER"),
    S("TieringEngineService"),
    S("TimeBroker"),
    S("TimeBrokerSvc"),
    S("TokenBroker"),
    S("TrkWks"),
    S("TroubleshootingSvc"),
    S("TrustedInstaller"),
    S("tzautoupdate"),
    S("UALSVC"),
    S("UevAgentService"),
    S("UI0Detect"),
    S("UmRdpService"),
    S("upnphost"),
    S("UserManager"),
    S("UsoSvc"),
    S("UxSms"),
    S("VacSvc"),
    S("VaultSvc"),
    S("vds"),
    S("vmcompute"),
    S("vmicguestinterface"),
    S("vmicheartbeat"),
    S("vmickvpexchange"),
    S("vmicrdv"),
    S("vmicshutdown"),
    S("vmictimesync"),
    S("vmicvmsession"),
    S("vmicvss"),
    S("vmms"),
    S("VSS"),
    S("W32Time"),
    S("W3SVC"),
    S("WaaSMedicSvc"),
    S("WalletService"),
    S("WarpJITSvc"),
    S("WAS"),
    S("wbengine"),
    S("WbioSrvc"),
    S("Wcmsvc"),
    S("wcncsvc"),
    S("WdiServiceHost"),
    S("WdiSystemHost"),
    S("WdNisSvc"),
    S("WebClient"),
    S("WebThreatDefSvc"),
    S("Wecsvc"),
    S("WEPHOSTSVC"),
    S("wercplsupport"),
    S("WerSvc"),
    S("WFDSConMgrSvc"),
    S("WiaRpc"),
    S("WinDefend"),
    S("WinHttpAutoProxySvc"),
    S("Winmgmt"),
    S("WinNat"),
    S("WinRM"),
    S("wisvc"),
    S("WlanSvc"),
    S("wlidsvc"),
    S("wlpasvc"),
    S("WManSvc"),
    S("wmiApSrv"),
    S("WMPNetworkSvc"),
    S("workfolderssvc"),
    S("WPCSvc"),
    S("WpcMonSvc"),
    S("WPDBusEnum"),
    S("WpnService"),
    S("WwanSvc"),
    S("wscsvc"),
    S("WSearch"),
    S("WSService"),
    S("wuauserv"),
    S("wudfsvc"),
    S("XblAuthManager"),
    S("XblGameSave"),
    S("XboxGipSvc"),
    S("XboxNetApiSvc"),
    S("xbgm"),
    S("NcdAutoSetup"),
    S("NetMan"),
    S("AppHostSvc"),
    S("IISADMIN"),
    S("MSMQ"),
    S("NfsClnt"),
    S("iprip"),
    S("simptcp"),
    S("TlntSvr"),
    S("WMSVC"),
    S("napagent"),
    S("hkmsvc"),
    S("dot3svc"),
    S("wlansvc"),
    S("WwanSvc"),
    S("SCManager"),
    S("RpcHttpLBS"),
    S("idsvc"),
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
    return security_service_name_among(sid, service_names, sizeof(service_names) / sizeof(service_names[0]));
}
