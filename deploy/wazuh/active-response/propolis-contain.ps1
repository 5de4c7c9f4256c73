#Requires -Version 5.1
<#
.SYNOPSIS
The agent's side of Wazuh containment (Wazuh 4.x) on Windows. UNTESTED ON THE PRODUCT: written from Microsoft's and
Wazuh's documentation, checked by a parser and by static rules, never yet run on Windows.

.DESCRIPTION
The verbs, the records and the configuration are those of propolis-contain on Linux; docs/wazuh-agent.md tells them and
what differs here: no kernel ends a block, a scheduled task does; rules outlive a reboot; a lock disables the account.

Block rules win over allow rules (MS-FASP 2.2.34), also over those of a group policy. So an isolation is a set of block
rules for everything but the kept addresses: nothing that was there is changed, and a release only removes ours.
#>
[CmdletBinding()]
param(
    # Only for the scheduled tasks of this program.
    [ValidateSet('', 'expire', 'prove')]
    [string]$Task = ''
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$AgentHome = [IO.Path]::GetFullPath((Join-Path $PSScriptRoot '..\..'))
$Records = Join-Path $AgentHome 'active-response\propolis'
$State = Join-Path $AgentHome 'active-response\propolis-state'
$Vault = Join-Path $AgentHome 'active-response\propolis-vault'
$Log = Join-Path $AgentHome 'active-response\active-responses.log'
$Group = 'Propolis'
$TaskPath = '\Propolis\'
$LongestName = 190    # a path holds 260 characters, and FIM reads it by its path
$Never = @(
    '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24',
    '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4', '::/96', '::ffff:0:0/96',
    '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2002::/16', 'fc00::/7', 'fe80::/9', 'ff00::/8'
)
$Request = @{ Verb = '?'; Key = '?'; Mark = ''; Seconds = 0; Path = ''; Hash = '' }

# --- small things ----------------------------------------------------------------------------------------------------

# A `throw` before the request is answered means: not a request, said in the log only. One after that is a refusal and
# goes on record too.

function Get-Now { [DateTimeOffset]::UtcNow.ToUnixTimeSeconds() }

function Test-Mark([string]$Text) { $Text.Length -le 120 -and $Text -cmatch '\Apropolis( [A-Za-z0-9@._:/+= -]*)?\z' }

function ConvertTo-Plain([string]$Text) {
    $line = $Text -creplace '[^A-Za-z0-9 @._:/+=,;()-]', '_'
    $line.Substring(0, [Math]::Min(300, $line.Length))
}

function ConvertTo-NamePart([string]$Text) {
    $out = foreach ($byte in [Text.Encoding]::UTF8.GetBytes($Text)) {
        $char = [string][char]$byte
        if ($char -cmatch '\A[A-Za-z0-9@.+=-]\z') { $char } else { '%{0:X2}' -f $byte }
    }
    -join $out
}

function Get-RecordName([string]$Verb, [string]$Target, [long]$Until, [string]$Text) {
    $name = '{0}~{1}~{2}~{3}' -f $Verb, (ConvertTo-NamePart $Target), $Until, (ConvertTo-NamePart $Text)
    if ($name.Length -gt $LongestName) { $name = $name.Substring(0, $LongestName) -creplace '%[0-9A-F]?\z', '' }
    $name
}

function Get-Sha256([string]$Text) {
    $sha = [Security.Cryptography.SHA256]::Create()
    try { -join ($sha.ComputeHash([Text.Encoding]::UTF8.GetBytes($Text)) | ForEach-Object { '{0:x2}' -f $_ }) }
    finally { $sha.Dispose() }
}

function Write-Log([string]$Result, [string]$Detail) {
    $target = if ($Request.Path) { $Request.Path } else { $Request.Key }
    $document = [ordered]@{
        version = 1; origin = @{ name = 'propolis-contain'; module = 'active-response' }; command = 'add'
        parameters = [ordered]@{
            program = 'propolis-contain'; verb = $Request.Verb; target = $target; mark = $Request.Mark
            result = $Result; detail = (ConvertTo-Plain $Detail)
        }
    }
    $line = '{0} active-response/bin/propolis-contain: {1}' -f (Get-Date -Format 'yyyy/MM/dd HH:mm:ss'),
        ($document | ConvertTo-Json -Compress -Depth 4)
    [IO.File]::AppendAllText($Log, $line + "`r`n")
}

# A record appears whole: FIM sees the name only when the content is there.
function Save-Record([string]$Name, [hashtable]$Content) {
    $part = Join-Path $State ('record.{0}' -f $PID)
    [IO.File]::WriteAllText($part, ($Content | ConvertTo-Json -Compress))
    Move-Item -LiteralPath $part -Destination (Join-Path $Records $Name) -Force
}

function Get-RecordNames { @(Get-ChildItem -LiteralPath $Records -File | ForEach-Object { $_.Name }) }

function Remove-Refusals([string]$Keep = '') {
    $said = 'refused~{0}~' -f (ConvertTo-NamePart ('{0}.{1}' -f $Request.Verb, $Request.Key))
    foreach ($name in Get-RecordNames) {
        if ($name.StartsWith($said) -and $name -cne $Keep) { Remove-Item -LiteralPath (Join-Path $Records $name) }
    }
}

function Save-Refusal([string]$Reason) {
    $plain = ConvertTo-Plain $Reason
    $now = Get-Now
    $name = Get-RecordName 'refused' ('{0}.{1}' -f $Request.Verb, $Request.Key) $now $plain
    Save-Record $name @{ verb = 'refused'; of = $Request.Verb; target = $Request.Key; at = $now; reason = $plain }
    Remove-Refusals $name
}

function Get-Note([string]$Name) {
    $path = Join-Path $State $Name
    if (-not (Test-Path -LiteralPath $path)) { return $null }
    [IO.File]::ReadAllText($path) | ConvertFrom-Json
}

function Save-Note([string]$Name, [hashtable]$Content) {
    $part = Join-Path $State ('new.{0}' -f $PID)
    [IO.File]::WriteAllText($part, ($Content | ConvertTo-Json -Compress))
    Move-Item -LiteralPath $part -Destination (Join-Path $State $Name) -Force
}

function Remove-Note([string]$Name) {
    $path = Join-Path $State $Name
    if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path }
}

# A folder for SYSTEM and Administrators alone, whatever the folder above it allows.
function Initialize-Folder([string]$Path) {
    if (-not (Test-Path -LiteralPath $Path)) { [void](New-Item -ItemType Directory -Path $Path) }
    if ((Get-Item -LiteralPath $Path -Force).Attributes -band [IO.FileAttributes]::ReparsePoint) {
        throw 'a folder of this program is a link'
    }
    $acl = [Security.AccessControl.DirectorySecurity]::new()
    $acl.SetSecurityDescriptorSddlForm('O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)')
    Set-Acl -LiteralPath $Path -AclObject $acl
}

# --- addresses -------------------------------------------------------------------------------------------------------

function ConvertTo-Number([Net.IPAddress]$Address) {
    $bytes = $Address.GetAddressBytes()
    [Array]::Reverse($bytes)
    [Numerics.BigInteger]::new([byte[]]($bytes + [byte]0))
}

function ConvertTo-Address([Numerics.BigInteger]$Number, [int]$Version) {
    $size = if ($Version -eq 6) { 16 } else { 4 }
    $bytes = [byte[]]::new($size)
    $raw = $Number.ToByteArray()
    for ($i = 0; $i -lt $size -and $i -lt $raw.Length; $i++) { $bytes[$size - 1 - $i] = $raw[$i] }
    [Net.IPAddress]::new($bytes).ToString()
}

# An address or network in its one canonical form, or $null. Nothing is interpreted: no octal, no short forms. With
# -Loose another way of writing an IPv6 address will do, for what is not a target.
function ConvertTo-Network([string]$Text, [switch]$Loose) {
    if ($Text.Length -gt 64 -or $Text -cnotmatch '\A([0-9a-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?\z') { return $null }
    $lone = $Matches[1]
    $size = if ($Matches.ContainsKey(2)) { [int]$Matches[2] } else { -1 }
    $address = $null
    if (-not [Net.IPAddress]::TryParse($lone, [ref]$address)) { return $null }
    $version = if ($lone.Contains(':')) { 6 } else { 4 }
    if ($address.ToString() -cne $lone -and -not ($Loose -and $version -eq 6)) { return $null }
    $bits = if ($version -eq 6) { 128 } else { 32 }
    if ($size -eq $bits -or $size -gt $bits) { return $null }
    if ($size -lt 0) { $size = $bits }
    $first = ConvertTo-Number $address
    $span = [Numerics.BigInteger]::Pow(2, $bits - $size)
    if (-not ($first % $span).IsZero) { return $null }
    [pscustomobject]@{ Version = $version; Size = $size; First = $first; Last = $first + $span - 1; Text = $Text }
}

function Test-Overlap($One, $Other) {
    $One.Version -eq $Other.Version -and $One.First -le $Other.Last -and $Other.First -le $One.Last
}

# Everything but these networks, as ranges for a firewall rule. Loopback is never part of it.
function Get-Complement($Networks, [int]$Version) {
    $ends = '1.0.0.0', '255.255.255.255'
    if ($Version -eq 6) { $ends = '1::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' }
    $next = ConvertTo-Number ([Net.IPAddress]::Parse($ends[0]))
    $last = ConvertTo-Number ([Net.IPAddress]::Parse($ends[1]))
    $kept = @($Networks) + @(ConvertTo-Network '127.0.0.0/8')
    foreach ($network in $kept | Where-Object { $_.Version -eq $Version } | Sort-Object -Property First) {
        if ($network.First -gt $next) {
            '{0}-{1}' -f (ConvertTo-Address $next $Version), (ConvertTo-Address ($network.First - 1) $Version)
        }
        if ($network.Last -ge $next) { $next = $network.Last + 1 }
    }
    if ($next -le $last) { '{0}-{1}' -f (ConvertTo-Address $next $Version), (ConvertTo-Address $last $Version) }
}

# --- configuration and what must be spared ---------------------------------------------------------------------------

# propolis.conf in the agent's folder (only Administrators can write there), else what the manager pushed. One bad
# entry refuses everything but undoing. What widens this program's powers may only stand in the first.
function Read-Configuration {
    $own = Join-Path $AgentHome 'propolis.conf'
    $pushed = Join-Path $AgentHome 'shared\propolis.conf'
    $settings = @{
        management = @(); never = @(); never_users = @(); never_paths = @(); max_seconds = @('604800'); trial = @('120')
        probe = @('192.0.2.1')
    }
    $known = @('management', 'never', 'never_users', 'never_paths', 'max_seconds', 'trial', 'probe')
    $path = $own
    if (-not (Test-Path -LiteralPath $own)) {
        if (-not (Test-Path -LiteralPath $pushed)) { return $settings }
        $path = $pushed
        $known = @('management', 'never', 'never_users', 'never_paths')
    }
    $number = 0
    foreach ($raw in [IO.File]::ReadAllLines($path)) {
        $number++
        $line = ($raw -creplace '#.*', '').Trim()
        if (-not $line) { continue }
        if ($line -cnotmatch '\A([a-z_]+)\s*=\s*([A-Za-z0-9@._:/\\+=, \t-]+)\z') {
            throw "propolis.conf, line $number is not of the form name = values"
        }
        $name = $Matches[1]
        $values = @($Matches[2] -split '[,\s]+' | Where-Object { $_ })
        if ($known -cnotcontains $name) {
            throw "propolis.conf, line ${number}: $name is not known or does not belong in this file"
        }
        foreach ($value in $values) {
            $good = switch -CaseSensitive ($name) {
                { $_ -in 'management', 'never', 'probe' } { $null -ne (ConvertTo-Network $value); break }
                { $_ -in 'max_seconds', 'trial' } {
                    $values.Count -eq 1 -and $value -cmatch '\A[1-9][0-9]{0,6}\z'
                    break
                }
                default { $true }
            }
            if (-not $good) { throw "propolis.conf, line ${number}: $value cannot be read" }
        }
        $replaces = $name -in 'max_seconds', 'trial', 'probe'
        $settings[$name] = if ($replaces) { $values } else { $settings[$name] + $values }
    }
    $settings
}

# The manager's addresses from ossec.conf; names are resolved now. Fails closed.
function Get-Managers {
    $text = '<all>' + [IO.File]::ReadAllText((Join-Path $AgentHome 'ossec.conf')) + '</all>'
    $document = [Xml.XmlDocument]::new()
    $document.XmlResolver = $null
    try { $document.LoadXml($text) } catch { throw 'ossec.conf cannot be read, so it is not known who the manager is' }
    $found = foreach ($node in $document.SelectNodes('//client//address | //client//manager_address')) {
        $given = $node.InnerText.Trim()
        $network = ConvertTo-Network -Loose $given.ToLowerInvariant()
        if ($network) { $network; continue }
        if ($given -cnotmatch '\A[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\z') {
            throw 'ossec.conf names a manager that cannot be read'
        }
        try {
            [Net.Dns]::GetHostAddresses($given) |
                ForEach-Object { ConvertTo-Network -Loose ($_.ToString() -creplace '%.*', '') }
        }
        catch { throw "the manager $given of ossec.conf cannot be resolved, so it cannot be spared" }
    }
    if (-not $found) { throw 'ossec.conf names no manager, so it cannot be spared' }
    @($found)
}

function Assert-Blockable($Network, $Settings) {
    $widest = if ($Network.Version -eq 6) { 48 } else { 24 }
    if ($Network.Size -lt $widest) { throw "$($Network.Text) is never blocked here: it is wider than /$widest" }
    $own = @(Get-NetIPAddress | ForEach-Object { ConvertTo-Network -Loose ($_.IPAddress -creplace '%.*', '') })
    $lists = [ordered]@{
        'on the built-in never list' = @($Never | ForEach-Object { ConvertTo-Network -Loose $_ })
        'the Wazuh manager' = @(Get-Managers)
        'management in propolis.conf' = @($Settings.management | ForEach-Object { ConvertTo-Network $_ })
        'never in propolis.conf' = @($Settings.never | ForEach-Object { ConvertTo-Network $_ })
        'an address of this host itself' = $own
    }
    foreach ($why in $lists.Keys) {
        foreach ($other in $lists[$why]) {
            if ($null -eq $other) { throw "an entry cannot be read: $why" }
            if (Test-Overlap $Network $other) {
                throw "$($Network.Text) is never blocked here: it overlaps $($other.Text), $why"
            }
        }
    }
}

function Assert-Seconds($Settings) {
    $longest = [int]$Settings.max_seconds[0]
    if ($Request.Seconds -gt $longest) {
        throw "$($Request.Seconds) s is longer than max_seconds ($longest) allows on this host"
    }
}

# --- firewall rules --------------------------------------------------------------------------------------------------

# Our rules, with what their description says: until, target, mark.
function Get-OurRules([string]$Verb) {
    foreach ($rule in @(Get-NetFirewallRule -Group $Group -ErrorAction SilentlyContinue)) {
        if ($rule.Name -cnotmatch "\APropolis-$Verb-" -or -not $rule.Description) { continue }
        if ($rule.Description -cnotmatch '\Auntil=([0-9]{1,11}) target=([0-9a-z:./]+) (propolis.*)\z') { continue }
        $until, $target, $mark = [long]$Matches[1], $Matches[2], $Matches[3]
        if (Test-Mark $mark) {
            [pscustomobject]@{ Name = $rule.Name; Until = $until; Target = $target; Mark = $mark }
        }
    }
}

# The names of our rules that the firewall enforces at this moment.
function Get-EnforcedNames {
    $active = @(Get-NetFirewallRule -PolicyStore ActiveStore -Group $Group -ErrorAction SilentlyContinue)
    foreach ($rule in $active) {
        if ("$($rule.Enabled) $($rule.Action) $($rule.PrimaryStatus)" -eq 'True Block OK') { $rule.Name }
    }
}

function Assert-Firewall {
    foreach ($each in Get-NetFirewallProfile -PolicyStore ActiveStore) {
        if ("$($each.Enabled)" -ne 'True') { throw "the firewall profile $($each.Name) is off on this host" }
        if ("$($each.AllowLocalFirewallRules)" -eq 'False') {
            throw 'a group policy forbids local firewall rules on this host'
        }
    }
}

function Get-Description([long]$Until, [string]$Target) { 'until={0} target={1} {2}' -f $Until, $Target, $Request.Mark }

function Get-BlockNames([string]$Target) {
    $id = (Get-Sha256 $Target).Substring(0, 16)
    "Propolis-block-$id-in", "Propolis-block-$id-out"
}

# A task that ends what is over. No target and no mark ever stands in a command line.
function Register-End([long]$Until) {
    $when = [DateTimeOffset]::FromUnixTimeSeconds($Until).LocalDateTime
    Register-OurTask ('expire-{0}' -f $Until) 'expire' (New-ScheduledTaskTrigger -Once -At $when)
}

function Register-OurTask([string]$Name, [string]$Kind, $Trigger) {
    $shell = Join-Path $env:SystemRoot 'System32\WindowsPowerShell\v1.0\powershell.exe'
    $options = '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy RemoteSigned'
    $arguments = '{0} -File "{1}" -Task {2}' -f $options, $PSCommandPath, $Kind
    $settings = @{
        StartWhenAvailable = $true; AllowStartIfOnBatteries = $true; DontStopIfGoingOnBatteries = $true
        ExecutionTimeLimit = New-TimeSpan -Hours 1
    }
    $what = @{
        TaskName = $Name; TaskPath = $TaskPath; Force = $true
        Action = New-ScheduledTaskAction -Execute $shell -Argument $arguments
        Principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
        Settings = New-ScheduledTaskSettingsSet @settings
    }
    if ($null -ne $Trigger) { $what.Trigger = $Trigger }
    [void](Register-ScheduledTask @what)
}

function Remove-OverdueTasks {
    foreach ($task in @(Get-ScheduledTask -TaskPath $TaskPath -ErrorAction SilentlyContinue)) {
        if ($task.TaskName -cmatch '\Aexpire-([0-9]{1,11})\z' -and [long]$Matches[1] + 3600 -lt (Get-Now)) {
            Unregister-ScheduledTask -TaskName $task.TaskName -TaskPath $TaskPath -Confirm:$false
        }
    }
}

# End what is over, also what a task that never ran left behind.
function Remove-Expired {
    foreach ($rule in @(Get-OurRules 'block') + @(Get-OurRules 'isolate')) {
        if ($rule.Until -le (Get-Now)) { Remove-NetFirewallRule -Name $rule.Name }
    }
    Remove-OverdueTasks
}

# --- what is in force, and the records of it -------------------------------------------------------------------------

function New-Fact([string]$Verb, [string]$Target, [long]$Until, [string]$Mark, [string]$Found) {
    [pscustomobject]@{ Verb = $Verb; Target = $Target; Until = $Until; Mark = $Mark; Found = $Found }
}

function Get-InForce {
    $enforced = @(Get-EnforcedNames)
    foreach ($rule in @(Get-OurRules 'block') | Where-Object { $_.Name -cmatch '-in\z' }) {
        $both = Get-BlockNames $rule.Target
        if (@($both | Where-Object { $enforced -ccontains $_ }).Count -eq 2) {
            New-Fact 'block' $rule.Target $rule.Until $rule.Mark 'two block rules, enforced; a scheduled task ends them'
        }
    }
    $isolation = @(Get-OurRules 'isolate')
    $note = Get-Note 'isolation.json'
    if ($isolation.Count -gt 0 -and $null -ne $note -and $isolation.Count -eq $note.rules -and
        @($isolation | Where-Object { $enforced -cnotcontains $_.Name }).Count -eq 0) {
        $verb = if ($note.proven) { 'isolate' } else { 'isolating' }
        $found = "$($isolation.Count) block rules, enforced; a scheduled task ends them"
        New-Fact $verb 'host' $isolation[0].Until $isolation[0].Mark $found
    }
    foreach ($file in Get-ChildItem -LiteralPath $State -Filter 'lock-*.json' -File) {
        $lock = Get-Note $file.Name
        $user = Get-LocalUser | Where-Object { $_.Name -ceq $lock.user }
        if ($user -and -not $user.Enabled) {
            New-Fact 'lock' $lock.user 0 $lock.mark 'the account is disabled; open sessions and processes go on'
        }
    }
    if (-not (Test-Path -LiteralPath $Vault)) { return }
    foreach ($file in Get-ChildItem -LiteralPath $Vault -Filter '*.json' -File) {
        if ($file.BaseName -cnotmatch '\A[0-9a-f]{32}\z') { continue }
        if (-not (Test-Path -LiteralPath (Join-Path $Vault $file.BaseName))) { continue }
        $meta = [IO.File]::ReadAllText($file.FullName) | ConvertFrom-Json
        New-Fact 'quarantine' $file.BaseName 0 $meta.mark "in the vault, sha256 $($meta.sha256)"
    }
}

# Make the records say exactly what is in force; new ones are there before old ones go.
function Update-Records {
    $wanted = @{}
    foreach ($fact in @(Get-InForce)) {
        $wanted[(Get-RecordName $fact.Verb $fact.Target $fact.Until $fact.Mark)] = $fact
    }
    $there = Get-RecordNames
    foreach ($name in $wanted.Keys) {
        if ($there -ccontains $name) { continue }
        $fact = $wanted[$name]
        Save-Record $name @{
            verb = $fact.Verb; target = $fact.Target; until = $fact.Until; mark = $fact.Mark; found = $fact.Found
        }
    }
    foreach ($name in $there) {
        $parts = $name -split '~'
        if ($parts.Count -ne 4) { continue }
        if ($parts[2] -cnotmatch '\A[0-9]{1,11}\z') { continue }
        $old = $parts[0] -ceq 'refused' -and (Get-Now) - [long]$parts[2] -gt 3600
        $kinds = @('block', 'isolate', 'isolating', 'lock', 'quarantine')
        $untrue = $kinds -ccontains $parts[0] -and -not $wanted.ContainsKey($name)
        if ($old -or $untrue) { Remove-Item -LiteralPath (Join-Path $Records $name) }
    }
}

function Complete-Request([string]$Result, [string]$Detail) {
    Update-Records
    Remove-Refusals
    Write-Log $Result $Detail
}

# --- the verbs -------------------------------------------------------------------------------------------------------

function Invoke-Block {
    $settings = Read-Configuration
    Assert-Seconds $settings
    $network = ConvertTo-Network $Request.Key
    Assert-Blockable $network $settings
    Assert-Firewall
    $until = (Get-Now) + $Request.Seconds
    Register-End $until    # first the end, then the beginning
    $names = Get-BlockNames $Request.Key
    foreach ($i in 0, 1) {
        $what = @{
            Name = $names[$i]; Description = (Get-Description $until $Request.Key); Action = 'Block'
            RemoteAddress = $network.Text
        }
        if (Get-NetFirewallRule -Name $names[$i] -ErrorAction SilentlyContinue) {
            Set-NetFirewallRule @what -Enabled True
        }
        else {
            $direction = ('Inbound', 'Outbound')[$i]
            $title = "Propolis: block $($network.Text)"
            [void](New-NetFirewallRule @what -DisplayName $title -Group $Group -Direction $direction -Profile Any)
        }
    }
    $shown = @(Get-InForce | Where-Object { $_.Verb -ceq 'block' -and $_.Target -ceq $Request.Key })
    if ($shown.Count -ne 1 -or $shown[0].Mark -cne $Request.Mark) {
        throw 'the rules were made, but the firewall does not enforce them'
    }
    Complete-Request 'blocked' "blocked in both directions for $($Request.Seconds) s, read back from the firewall"
}

function Invoke-Unblock {
    $ours = @(Get-OurRules 'block' | Where-Object { $_.Target -ceq $Request.Key })
    foreach ($rule in $ours) { Remove-NetFirewallRule -Name $rule.Name }
    if (@(Get-OurRules 'block' | Where-Object { $_.Target -ceq $Request.Key }).Count) {
        throw 'the rules are still there'
    }
    Complete-Request 'unblocked' "$($ours.Count) rules removed"
}

# TCP wholly; UDP but for DHCP; ICMPv6 but for the neighbours; the usual tunnels.
function Get-IsolationRules($Kept) {
    $v4 = @(Get-Complement $Kept 4)
    $v6 = @(Get-Complement $Kept 6)
    $near = @(Get-Complement (@($Kept) + @('fe80::/10', 'ff02::/16' | ForEach-Object { ConvertTo-Network $_ })) 6)
    @{ Protocol = 'TCP'; RemoteAddress = $v4 + $v6 }
    @{ Protocol = 'UDP'; RemoteAddress = $v4 + $v6; RemotePort = @('0-66', '69-545', '548-65535') }
    @{ Protocol = 'ICMPv4'; RemoteAddress = $v4 }
    @{ Protocol = 'ICMPv6'; RemoteAddress = $near }
    foreach ($number in '4', '41', '47', '50', '51', '115', '132') {
        @{ Protocol = $number; RemoteAddress = $v4 + $v6 }
    }
}

function Invoke-Isolate {
    $settings = Read-Configuration
    Assert-Seconds $settings
    Assert-Firewall
    $kept = @(Get-Managers) + @($settings.management | ForEach-Object { ConvertTo-Network $_ })
    foreach ($probe in $settings.probe | ForEach-Object { ConvertTo-Network $_ }) {
        if (@($kept | Where-Object { Test-Overlap $_ $probe }).Count) {
            throw "probe $($probe.Text) is a kept address, so nothing could be proven by it"
        }
    }
    $until = (Get-Now) + [Math]::Min([int]$settings.trial[0], $Request.Seconds)
    Register-End $until
    Remove-Isolation
    $rules = @(Get-IsolationRules $kept)
    Save-Note 'isolation.json' @{
        generation = [guid]::NewGuid().ToString(); proven = $false; rules = 2 * $rules.Count
        seconds = $Request.Seconds; mark = $Request.Mark; since = (Get-Date -Format 'yyyyMMddHHmmss')
        trial = $until; probes = @($settings.probe)
    }
    $n = 0
    foreach ($rule in $rules) {
        foreach ($direction in 'Inbound', 'Outbound') {
            $n++
            $what = @{
                Name = "Propolis-isolate-$n"; DisplayName = 'Propolis: host isolation'; Group = $Group
                Description = (Get-Description $until 'host'); Direction = $direction; Action = 'Block'
            }
            [void](New-NetFirewallRule @what @rule -Profile Any)
        }
    }
    if (@(Get-InForce | Where-Object { $_.Verb -ceq 'isolating' }).Count -ne 1) {
        Remove-Isolation
        throw 'the rules were made, but the firewall does not enforce them'
    }
    Update-Records
    Write-Log 'isolating' 'for a trial: the way to the manager is being proven'
    Register-OurTask 'prove' 'prove' $null
    Start-ScheduledTask -TaskName 'prove' -TaskPath $TaskPath    # execd must not wait for the proof
}

function Remove-Isolation {
    foreach ($rule in @(Get-OurRules 'isolate')) { Remove-NetFirewallRule -Name $rule.Name }
    Remove-Note 'isolation.json'
}

# True if the firewall refuses a packet to the address: an access error, not silence.
function Test-Refused([string]$Address) {
    $socket = [Net.Sockets.UdpClient]::new()
    try {
        $socket.Connect($Address, 9)
        [void]$socket.Send([byte[]](0), 1)
        $false
    }
    catch [Net.Sockets.SocketException] { $_.Exception.SocketErrorCode -eq [Net.Sockets.SocketError]::AccessDenied }
    finally { $socket.Close() }
}

# When the manager last answered, as a number that grows (0: never); the agent writes it in local time.
function Get-LastAck {
    $path = Join-Path $AgentHome 'wazuh-agent.state'
    if (-not (Test-Path -LiteralPath $path)) { return [long]0 }
    $digits = ''
    foreach ($line in [IO.File]::ReadAllLines($path)) {
        if ($line -cmatch "\Alast_ack='([^']*)'") { $digits = $Matches[1] -creplace '[^0-9]', '' }
    }
    if ($digits.Length -eq 14) { [long]$digits } else { [long]0 }
}

# The trial, as a scheduled task: until the manager answered and a forbidden packet was refused. Should this process
# die, the other task ends the trial.
function Invoke-Prove {
    $mine = Get-Note 'isolation.json'
    if ($null -eq $mine -or $mine.proven) { return }
    $Request.Verb = 'isolate'
    $Request.Key = 'host'
    $Request.Mark = $mine.mark
    $before = Get-LastAck
    $reason = 'the manager was not reached'
    while ((Get-Now) -lt $mine.trial) {
        Start-Sleep -Seconds 1
        $ack = Get-LastAck
        if ($ack -eq $before -or $ack -le [long]$mine.since) { continue }
        $reason = 'no forbidden packet was seen to be refused'
        if (@($mine.probes | Where-Object { Test-Refused $_ }).Count -eq 0) { continue }
        Use-Lock { Confirm-Isolation $mine }
        return
    }
    Use-Lock {
        $now = Get-Note 'isolation.json'
        if ($null -eq $now -or $now.generation -cne $mine.generation) { return }
        Remove-Isolation
        Update-Records
        Save-Refusal $reason
        Write-Log 'refused' $reason
    }
}

function Confirm-Isolation($Mine) {
    $now = Get-Note 'isolation.json'
    if ($null -eq $now -or $now.generation -cne $Mine.generation) { return }
    $until = (Get-Now) + $Mine.seconds
    Register-End $until
    foreach ($rule in @(Get-OurRules 'isolate')) {
        Set-NetFirewallRule -Name $rule.Name -Description (Get-Description $until 'host')
    }
    Save-Note 'isolation.json' @{
        generation = $Mine.generation; proven = $true; rules = $Mine.rules; seconds = $Mine.seconds; mark = $Mine.mark
        since = $Mine.since; trial = $Mine.trial; probes = @($Mine.probes)
    }
    Complete-Request 'isolated' "the manager answered and a forbidden packet was refused: for $($Mine.seconds) s"
}

function Invoke-Release {
    Remove-Isolation
    if (@(Get-OurRules 'isolate').Count) { throw 'the rules are still there' }
    Complete-Request 'released' 'no rule of an isolation is left'
}

function Get-Account {
    if ((Get-CimInstance -ClassName Win32_ComputerSystem).DomainRole -ge 4) {
        throw 'a domain controller has no local accounts'
    }
    $user = Get-LocalUser | Where-Object { $_.Name -ceq $Request.Key }
    if (-not $user) { throw "$($Request.Key) is not a local account of this host" }
    $user
}

function Invoke-Lock {
    $settings = Read-Configuration
    $user = Get-Account
    $rid = [long]($user.SID.Value -split '-')[-1]
    if ($rid -lt 1000) { throw "$($Request.Key) has RID ${rid}: the built-in accounts are never locked" }
    if ($settings.never_users -contains $Request.Key) {
        throw "$($Request.Key) is never locked here: never_users in propolis.conf"
    }
    $note = 'lock-{0}.json' -f $Request.Key
    if (-not $user.Enabled -and $null -eq (Get-Note $note)) {
        throw "$($Request.Key) is disabled already, by somebody else"
    }
    Save-Note $note @{ user = $Request.Key; mark = $Request.Mark }
    Disable-LocalUser -Name $Request.Key
    if ((Get-Account).Enabled) { throw 'the account is still enabled' }
    Complete-Request 'locked' 'the account is disabled, read back; open sessions and processes go on'
}

function Invoke-Unlock {
    $note = 'lock-{0}.json' -f $Request.Key
    if ($null -eq (Get-Note $note)) {
        if (-not (Get-Account).Enabled) { throw "$($Request.Key) was not disabled by this program and is left alone" }
        Complete-Request 'unlocked' 'it was not locked by this program'
        return
    }
    Enable-LocalUser -Name $Request.Key
    if (-not (Get-Account).Enabled) { throw 'the account is still disabled' }
    Remove-Note $note
    Complete-Request 'unlocked' 'the account is enabled again, read back'
}

# The way to a file must lead over no link: no junction, no symbolic link, no mount point.
function Assert-PlainWay([string]$Path) {
    for ($at = $Path; $at; $at = [IO.Path]::GetDirectoryName($at)) {
        if (-not (Test-Path -LiteralPath $at)) { continue }
        if ((Get-Item -LiteralPath $at -Force).Attributes -band [IO.FileAttributes]::ReparsePoint) {
            throw "the way to it leads over a link: $at"
        }
    }
}

function Assert-Movable($Settings) {
    foreach ($place in @($env:SystemRoot, $AgentHome.TrimEnd('\'), $Vault) + $Settings.never_paths) {
        $inside = $place.TrimEnd('\') + '\'
        if (($Request.Path + '\').StartsWith($inside, [StringComparison]::OrdinalIgnoreCase)) {
            throw "it is never moved: $place is spared"
        }
    }
    Assert-PlainWay $Request.Path
    if (-not (Test-Path -LiteralPath $Request.Path -PathType Leaf)) { throw 'it does not exist, or it is not a file' }
    $fsutil = Join-Path $env:SystemRoot 'System32\fsutil.exe'
    $links = @(& $fsutil hardlink list $Request.Path)
    if ($LASTEXITCODE -ne 0 -or $links.Count -ne 1) {
        throw "it has $($links.Count) hard links: it would live on under another name"
    }
}

function Get-FileSha256([string]$Path) { (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant() }

function Invoke-Quarantine {
    $settings = Read-Configuration
    Assert-Movable $settings
    Initialize-Folder $Vault
    $sha = Get-FileSha256 $Request.Path
    if ($Request.Hash -cne '-' -and $Request.Hash -cne $sha) {
        throw "it is not the file that was meant: its sha256 is $sha"
    }
    $file = Get-Item -LiteralPath $Request.Path -Force
    $meta = @{
        id = $Request.Key; path = $Request.Path; sha256 = $sha; size = $file.Length
        mark = $Request.Mark; at = (Get-Now)
        sddl = (Get-Acl -LiteralPath $Request.Path).Sddl; attributes = [int]$file.Attributes
        created = $file.CreationTimeUtc.Ticks; written = $file.LastWriteTimeUtc.Ticks
        read = $file.LastAccessTimeUtc.Ticks
    }
    $kept = Join-Path $Vault $Request.Key
    Move-Aside $kept
    [IO.File]::WriteAllText("$kept.json", ($meta | ConvertTo-Json -Compress))
    [IO.File]::Move($Request.Path, $kept)    # never overwrites
    if ((Get-FileSha256 $kept) -cne $sha) {
        [IO.File]::Move($kept, $Request.Path)
        Remove-Item -LiteralPath "$kept.json"
        throw 'it changed while it was moved and was put back: something writes to it'
    }
    $acl = [Security.AccessControl.FileSecurity]::new()
    $acl.SetSecurityDescriptorSddlForm('O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)')
    Set-Acl -LiteralPath $kept -AclObject $acl
    Complete-Request 'quarantined' "it is in the vault, sha256 $sha"
}

# Earlier evidence in this place is kept beside the new one, under a number.
function Move-Aside([string]$Kept) {
    if (-not (Test-Path -LiteralPath $Kept) -and -not (Test-Path -LiteralPath "$Kept.json")) { return }
    for ($n = 1; $n -lt 100; $n++) {
        if ((Test-Path -LiteralPath "$Kept.$n") -or (Test-Path -LiteralPath "$Kept.$n.json")) { continue }
        if (Test-Path -LiteralPath $Kept) { [IO.File]::Move($Kept, "$Kept.$n") }
        if (Test-Path -LiteralPath "$Kept.json") { [IO.File]::Move("$Kept.json", "$Kept.$n.json") }
        return
    }
    throw 'the vault holds 100 pieces of evidence of this path'
}

function Invoke-Restore {
    $kept = Join-Path $Vault $Request.Key
    if (-not (Test-Path -LiteralPath $kept)) {
        Complete-Request 'restored' 'the vault does not hold it'
        return
    }
    $meta = [IO.File]::ReadAllText("$kept.json") | ConvertFrom-Json
    if (-not (Test-WindowsPath $meta.path)) { throw "the vault's note cannot be read" }
    $Request.Path = $meta.path
    if ((Get-FileSha256 $kept) -cne $meta.sha256) { throw 'the file in the vault is not what was put there' }
    Assert-PlainWay ([IO.Path]::GetDirectoryName($meta.path))
    if (Test-Path -LiteralPath $meta.path) { throw 'it exists again and is not overwritten' }
    $acl = [Security.AccessControl.FileSecurity]::new()
    $acl.SetSecurityDescriptorSddlForm($meta.sddl)
    Set-Acl -LiteralPath $kept -AclObject $acl
    [IO.File]::SetCreationTimeUtc($kept, [DateTime]::new($meta.created, 'Utc'))
    [IO.File]::SetLastWriteTimeUtc($kept, [DateTime]::new($meta.written, 'Utc'))
    [IO.File]::SetLastAccessTimeUtc($kept, [DateTime]::new($meta.read, 'Utc'))
    [IO.File]::SetAttributes($kept, [IO.FileAttributes]$meta.attributes)
    [IO.File]::Move($kept, $meta.path)    # never overwrites
    if ((Get-FileSha256 $meta.path) -cne $meta.sha256) { throw 'it was put back, but it is not what it was' }
    Remove-Item -LiteralPath "$kept.json"
    Complete-Request 'restored' 'it is back, with its owner, rights and times'
}

# --- one call --------------------------------------------------------------------------------------------------------

# An absolute path on a local drive in its plain form: no device, share, stream, short name, wildcard or trailing dot.
function Test-WindowsPath([string]$Text) {
    $Text.Length -le 240 -and $Text -cmatch '\A[A-Za-z]:(\\[^\\/:*?"<>|\x00-\x1f]+)+\z' -and
    $Text -cnotmatch '\\\.{1,2}(\\|\z)|[. ](\\|\z)|~[0-9]' -and
    $Text -notmatch '\\(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\\|\z)'
}

# Check every word of the request before anything else is done with it.
function Read-Request([string]$Line) {
    if ($Line.Length -gt 16384) { throw 'the line is too long' }
    try {
        $document = $Line | ConvertFrom-Json
        $command = $document.command
        $words = @($document.parameters.extra_args)
    }
    catch { throw 'the line is not a request of wazuh-execd' }
    if ($command -cne 'add') { throw 'the command is not add' }
    if (@($words | Where-Object { $_ -isnot [string] -or $_.Length -eq 0 -or $_.Length -gt 1024 }).Count) {
        throw 'an argument is not a string'
    }
    $counts = @{
        block = 3; unblock = 1; isolate = 2; release = 0; lock = 2; unlock = 1; quarantine = 3; restore = 1
        'renew-records' = 0
    }
    if ($words.Count -lt 1 -or -not ($counts.Keys -ccontains $words[0])) { throw 'no such verb' }
    $Request.Verb = $words[0]
    if ($words.Count - 1 -ne $counts[$words[0]]) { throw 'wrong number of arguments' }
    $Request.Key = 'host'
    switch ($Request.Verb) {
        { $_ -in 'block', 'unblock' } {
            if ($null -eq (ConvertTo-Network $words[1])) {
                throw 'the target is not an address or network in its canonical form'
            }
            $Request.Key = $words[1]
        }
        { $_ -in 'lock', 'unlock' } {
            if ($words[1] -cnotmatch '\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,19}\z') {
                throw 'the user name has a form that no local account has'
            }
            $Request.Key = $words[1]
        }
        'quarantine' {
            if (-not (Test-WindowsPath $words[1])) { throw 'the path is not an absolute path in its plain form' }
            if ($words[2] -cnotmatch '\A(-|[0-9a-f]{64})\z') { throw 'the sha256 is not - or 64 digits' }
            $Request.Path = $words[1]
            $Request.Hash = $words[2]
            $Request.Key = (Get-Sha256 $words[1]).Substring(0, 32)
        }
        'restore' {
            if ($words[1] -cnotmatch '\A[0-9a-f]{32}\z') { throw 'the id is not 32 hexadecimal digits' }
            $Request.Key = $words[1]
        }
    }
    if ($Request.Verb -in 'block', 'isolate') {
        $seconds = $words[$words.Count - 2]
        if ($seconds -cnotmatch '\A[1-9][0-9]{0,6}\z') { throw 'seconds is not a whole number from 1 to 9999999' }
        $Request.Seconds = [int]$seconds
    }
    if ($Request.Verb -in 'block', 'isolate', 'lock', 'quarantine') {
        if (-not (Test-Mark $words[-1])) { throw 'the mark is not one' }
        $Request.Mark = $words[-1]
    }
}

# The exchange with wazuh-execd: its line, our check_keys, its continue or abort.
function Confirm-Request {
    $ask = [ordered]@{
        version = 1; origin = [ordered]@{ name = 'propolis-contain'; module = 'active-response' }
        command = 'check_keys'
        parameters = @{ keys = @('{0} {1}' -f $Request.Verb, $Request.Key) }
    }
    [Console]::Out.WriteLine(($ask | ConvertTo-Json -Compress -Depth 4))
    [Console]::Out.Flush()
    try { ([Console]::In.ReadLine() | ConvertFrom-Json).command -ceq 'continue' } catch { $false }
}

# One change at a time on this host.
function Use-Lock([scriptblock]$Work) {
    $mutex = [Threading.Mutex]::new($false, 'Global\PropolisContain')
    $held = $false
    try {
        try { $held = $mutex.WaitOne(20000) } catch [Threading.AbandonedMutexException] { $held = $true }
        if (-not $held) { throw 'another call has been at work for 20 s' }
        & $Work
    }
    finally {
        if ($held) { $mutex.ReleaseMutex() }
        $mutex.Dispose()
    }
}

function Invoke-Verb {
    switch ($Request.Verb) {
        'block' { Invoke-Block }
        'unblock' { Invoke-Unblock }
        'isolate' { Invoke-Isolate }
        'release' { Invoke-Release }
        'lock' { Invoke-Lock }
        'unlock' { Invoke-Unlock }
        'quarantine' { Invoke-Quarantine }
        'restore' { Invoke-Restore }
        'renew-records' { Write-Log 'renewed' 'the records say what is in force' }
    }
}

function Invoke-Main {
    $answered = $Task -ne ''
    try {
        if ($Task -eq '') {
            Read-Request ([Console]::In.ReadLine())
            if (-not (Confirm-Request)) {
                Write-Log 'aborted' 'wazuh-execd did not say continue'
                return
            }
            $answered = $true
        }
        Initialize-Folder $State
        Initialize-Folder $Records
        if ($Task -eq 'prove') {
            Invoke-Prove
            return
        }
        Use-Lock {
            Remove-Expired
            Update-Records
            if ($Task -eq '') { Invoke-Verb }
        }
    }
    catch {
        $reason = $_.Exception.Message
        if (-not $answered) {
            Write-Log 'malformed' $reason
            return
        }
        if ($Request.Verb -cne '?') { Save-Refusal $reason }
        Write-Log 'refused' $reason
    }
}

Invoke-Main
exit 0
