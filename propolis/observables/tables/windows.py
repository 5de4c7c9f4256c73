"""Windows events other than Sysmon's, by provider and event id."""

from __future__ import annotations

from propolis.observables import kinds
from propolis.observables.names import words
from propolis.observables.table import Row, Source, rows
from propolis.observables.texts import command, windows

E = "data.win.eventdata"


def _source(name: str, *table: tuple[Row, ...]) -> Source:
    return Source(name, tuple(row for part in table for row in part))


_CLIENT = rows(
    E,
    (kinds.ip, "source", "ipAddress", "clientAddress", "sourceAddress", "sourceNetworkAddress"),
    (kinds.host, "source", "workstationName", "workstation", "clientName"),
)
_SUBJECT = rows(E, (kinds.user, "subject", "subjectUserName"))
_TARGET = rows(E, (kinds.principal, "target", "targetUserName"))
_PROCESS = rows(
    E,
    (kinds.program, "process", "processName", "newProcessName", "parentProcessName", "callerProcessName"),
    (command.windows_command, "command", "commandLine"),
)
_SHARE = rows(E, (windows.unc, "destination", "shareName"), (windows.relative_file, "file", "relativeTargetName"))

LOGON = _source(
    "windows logon", _CLIENT, _SUBJECT, _TARGET, _PROCESS, rows(E, (kinds.host, "destination", "targetServerName"))
)
ACCOUNT = _source(
    "windows account",
    _CLIENT,
    _SUBJECT,
    _TARGET,
    rows(E, (kinds.user, "target", "samAccountName"), (kinds.distinguished, "target", "memberName")),
)
COMPUTER = _source("windows computer account", _SUBJECT, rows(E, (kinds.account, "target", "targetUserName")))
# In an event of a group, targetUserName is the group's name.
GROUP = _source("windows group", _CLIENT, _SUBJECT, rows(E, (kinds.distinguished, "target", "memberName")))
TASK = _source("windows task", _SUBJECT, rows(E, (command.task, "command", "taskContent", "taskContentNew")))
SERVICE = _source(
    "windows service",
    _SUBJECT,
    rows(
        E,
        (kinds.service, "service", "serviceName", "param1"),
        (kinds.user, "subject", "accountName", "serviceAccount"),
        (command.windows_command, "command", "imagePath", "serviceFileName"),
        (windows.service_image, "file", "imagePath", "serviceFileName"),
    ),
)
SHARE = _source("windows share", _CLIENT, _SUBJECT, _SHARE)
SESSION = _source("windows session", _CLIENT, rows(E, (kinds.user, "subject", "accountName")))
OBJECT = _source(
    "windows object",
    _SUBJECT,
    _PROCESS,
    rows(
        E,
        (windows.object_file, "file", "objectName"),
        (kinds.key, "registry", "objectName"),
        (windows.registry_details, "command", "newValue"),
    ),
)
FILTERING = _source(
    "windows filtering platform",
    rows(
        E,
        (kinds.ip, "source", "sourceAddress"),
        (kinds.ip, "destination", "destAddress"),
        (kinds.program, "process", "application"),
    ),
)
SECURITY = _source(
    "windows security",
    _CLIENT,
    _SUBJECT,
    _TARGET,
    _PROCESS,
    rows(
        "data.win",
        (
            kinds.user,
            "subject",
            "logFileCleared.subjectUserName",
            "eventInfo.username",
            "eventXML.user",
            "eventXML.param1",
        ),
        (kinds.ip, "source", "eventXML.address", "eventInfo.ipAddress", "eventXML.param3"),
    ),
)

# Event ids of Microsoft-Windows-Security-Auditing and what they are about.
EVENTS: dict[str, Source] = {
    **dict.fromkeys(
        words("4624 4625 4634 4647 4648 4672 4675 4740 4768 4769 4770 4771 4772 4773 4776 4777 4964"),
        LOGON,
    ),
    **dict.fromkeys(
        words("4720 4722 4723 4724 4725 4726 4738 4765 4766 4767 4780 4781 4794"),
        ACCOUNT,
    ),
    **dict.fromkeys(["4741", "4742", "4743"], COMPUTER),
    **dict.fromkeys(
        words(
            "4727 4728 4729 4730 4731 4732 4733 4734 4735 4737 4744 4745 4746 4747 4748 4749 4750 4751 4752 4753 "
            "4754 4755 4756 4757 4758 4759 4760 4761 4762 4763 4764 4798 4799"
        ),
        GROUP,
    ),
    **dict.fromkeys(["4698", "4699", "4700", "4701", "4702"], TASK),
    "4697": SERVICE,
    **dict.fromkeys(["5140", "5142", "5143", "5144", "5145", "5168"], SHARE),
    **dict.fromkeys(["4778", "4779"], SESSION),
    **dict.fromkeys(["4656", "4657", "4658", "4660", "4663", "4670"], OBJECT),
    **dict.fromkeys(words("5150 5151 5152 5153 5154 5155 5156 5157 5158 5159"), FILTERING),
}

POWERSHELL = _source(
    "powershell",
    rows(
        E,
        (command.script, "command", "scriptBlockText", "payload"),
        (kinds.path, "file", "path", "scriptName"),
        (windows.shell_context, "file", "contextInfo"),
        (command.windows_command, "command", "hostApplication"),
    ),
)
DEFENDER = _source(
    "windows defender",
    rows(
        E,
        (kinds.user, "subject", "detection User", "user"),
        (kinds.threat, "threat", "threat Name"),
        (kinds.files, "file", "path"),
        (kinds.program, "process", "process Name"),
        (windows.setting, "registry", "new Value", "old Value"),
    ),
)
SYSTEM_SERVICE = SERVICE
TERMINAL = _source(
    "remote desktop",
    rows(
        "data.win",
        (kinds.user, "subject", "eventXML.user", "eventXML.param1", "eventInfo.username", "userData.eventXML.user"),
        (kinds.ip, "source", "eventXML.address", "eventXML.param3", "eventInfo.ipAddress", "userData.eventXML.address"),
        (windows.gateway_message, "source", "system.message"),
        (kinds.user, "subject", "eventdata.user", "eventdata.username"),
        (kinds.ip, "source", "eventdata.address", "eventdata.ipAddress", "eventdata.clientIP"),
    ),
)
# The client side: the address in `value` is where the user went.
TERMINAL_CLIENT = _source("remote desktop client", rows(E, (kinds.peer, "destination", "value")))
DCOM = _source("dcom", rows(E, (kinds.user, "subject", "param7"), (kinds.ip, "source", "param9")))
TASK_OPERATIONAL = _source(
    "task scheduler",
    rows(E, (kinds.user, "subject", "userContext", "userName"), (kinds.program, "process", "path", "actionName")),
)
BITS = _source(
    "bits",
    rows(
        E,
        (kinds.url, "destination", "url", "remoteName"),
        (kinds.user, "subject", "jobOwner"),
        (kinds.file, "file", "localName"),
    ),
)
WMI_ACTIVITY = _source(
    "wmi activity",
    rows(
        "data.win",
        (kinds.user, "subject", "eventdata.user", "operation_ClientFailure.user", "eventXML.user"),
        (kinds.workstation, "source", "eventdata.clientMachine", "operation_ClientFailure.clientMachine"),
    ),
)
_APPLICATION = _source(
    "windows application",
    _CLIENT,
    rows(
        "data.win",
        (kinds.user, "subject", "eventdata.subjectUserName", "logFileCleared.subjectUserName"),
        (windows.classic_data, "related", "eventdata.data"),
    ),
)
# A provider nobody wrote a table for: its well-known names count as well.
APPLICATION = _APPLICATION._replace(loose=True)
WINRM = _source(
    "winrm", rows(E, (windows.connection, "destination", "connection"), (kinds.user, "subject", "username"))
)
FIREWALL = _source(
    "windows firewall",
    rows(E, (kinds.program, "file", "applicationPath"), (kinds.program, "process", "modifyingApplication")),
)
CODE = _source(
    "code integrity",
    rows(E, (kinds.file, "file", "fullFilePath", "filePath", "fileNameBuffer"), (kinds.digest, "file", "fileHash")),
    rows("data.win.ruleAndFileData", (kinds.file, "file", "fullFilePath"), (kinds.digest, "file", "fileHash")),
)
DNS_CLIENT = _source(
    "dns client", rows(E, (kinds.name, "query", "queryName"), (windows.query_results, "result", "queryResults"))
)

PROVIDERS: dict[str, Source] = {
    "Microsoft-Windows-PowerShell": POWERSHELL,
    "PowerShell": POWERSHELL,
    "PowerShellCore": POWERSHELL,
    "Microsoft-Windows-Windows Defender": DEFENDER,
    "Microsoft Antimalware": DEFENDER,
    "Service Control Manager": SYSTEM_SERVICE,
    "Microsoft-Windows-TerminalServices-Gateway": TERMINAL,
    "Microsoft-Windows-TerminalServices-LocalSessionManager": TERMINAL,
    "Microsoft-Windows-TerminalServices-RemoteConnectionManager": TERMINAL,
    "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS": TERMINAL,
    "Microsoft-Windows-TerminalServices-ClientActiveXCore": TERMINAL_CLIENT,
    "Microsoft-Windows-TerminalServices-RDPClient": TERMINAL_CLIENT,
    "Microsoft-Windows-DistributedCOM": DCOM,
    "DCOM": DCOM,
    "Microsoft-Windows-TaskScheduler": TASK_OPERATIONAL,
    "Microsoft-Windows-Bits-Client": BITS,
    "Microsoft-Windows-WMI-Activity": WMI_ACTIVITY,
    "Microsoft-Windows-WinRM": WINRM,
    "Microsoft-Windows-Windows Firewall With Advanced Security": FIREWALL,
    "Microsoft-Windows-DNS-Client": DNS_CLIENT,
    "Microsoft-Windows-AppLocker": CODE,
    "Microsoft-Windows-CodeIntegrity": CODE,
}
