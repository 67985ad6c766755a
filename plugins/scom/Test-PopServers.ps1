# Runs scom_pop3, and hands what it found to Operations Manager: a property bag and an event for each server.
#
# The management pack holds a copy of this file, and fills in the parameters. To see what it does, run it on a machine
# with the agent, in Windows PowerShell:
#
#   .\Test-PopServers.ps1 -Node 'C:\Program Files\nodejs\node.exe' -Command 'C:\Program Files\pop-connectivity\scom_pop3' `
#     -TargetFile 'C:\ProgramData\pop-connectivity\targets.yaml' -TimeoutSeconds 130 -Show
param(
    [string]$Node,
    [string]$Command,
    [string]$TargetFile,
    [int]$TimeoutSeconds,
    [switch]$Show
)

$ErrorActionPreference = 'Stop'
$ScriptName = 'Test-PopServers.ps1'

# What the command leaves of this script's time: to start, and to write its bags.
$SecondsAside = 20

# Runs the command to its end, and returns what it printed.
function Invoke-ScomPop3 {
    $seconds = [Math]::Max(1, $TimeoutSeconds - $SecondsAside)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Node
    $start.Arguments = '"{0}" --targets "{1}" --timeout {2}' -f $Command, $TargetFile, $seconds
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardOutput = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $reading = $process.StandardOutput.ReadToEndAsync()
    # It ends by itself; this is for a machine that is too busy for that.
    if (-not $process.WaitForExit([int](($seconds + $SecondsAside / 2) * 1000))) {
        $process.Kill()
        throw "scom_pop3 did not end within $seconds s"
    }
    return $reading.Result
}

# The bag of a test that could not even be started. It names no server, for it is about all of them.
function Get-Refusal([string]$problem) {
    $text = "POP3 UNKNOWN - local-resources, $problem"
    $values = [ordered]@{
        State = 'UNKNOWN'
        Server = ''
        Result = 'Skipped'
        Text = $text
        EventSource = 'MSExchange Monitoring POPConnectivity'
        EventId = 1002
        EventLevel = 2
        EventMessage = "not tested: $problem"
        Phase = 'none'
        Reason = 'local-resources'
        Message = $problem
        Hint = 'check Node.js and the paths in HKLM\SOFTWARE\pop-connectivity on the watcher'
    }
    $properties = foreach ($name in $values.Keys) {
        $type = if ($values[$name] -is [int]) { 'Integer' } else { 'String' }
        New-Object PSObject -Property @{ name = $name; type = $type; value = $values[$name] }
    }
    return New-Object PSObject -Property @{ properties = $properties }
}

# A value as the type it is told to be: the bag takes the type from it.
function ConvertTo-Typed($property) {
    switch ($property.type) {
        'Integer' { return [int]$property.value }
        'Double' { return [double]$property.value }
        'Boolean' { return [bool]$property.value }
        default { return [string]$property.value }
    }
}

try {
    $printed = Invoke-ScomPop3
    try {
        $found = @((ConvertFrom-Json $printed).bags | Where-Object { $null -ne $_ })
    } catch {
        # A Node.js that is too old says so in one line.
        throw "scom_pop3 printed no result: $($printed.Trim())"
    }
    if ($found.Count -eq 0) { throw 'scom_pop3 printed no result' }
} catch {
    $found = @(Get-Refusal ([string]$_.Exception.Message))
}

$api = New-Object -ComObject 'MOM.ScriptAPI'
foreach ($each in $found) {
    $bag = $api.CreatePropertyBag()
    $values = @{}
    foreach ($property in $each.properties) {
        $value = ConvertTo-Typed $property
        $values[$property.name] = $value
        [void]$bag.AddValue($property.name, $value)
    }
    # 1000 good, 1001 failed, 1002 warned or not tested: as Test-PopConnectivity -MonitoringContext had them.
    [void]$api.LogScriptEvent($ScriptName, $values['EventId'], $values['EventLevel'], $values['EventMessage'])
    if ($Show) { $values } else { $bag }
}
