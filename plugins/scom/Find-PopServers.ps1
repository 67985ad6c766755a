# Asks scom_pop3 which servers are in the file of targets, and reports each to Operations Manager. None is tested.
#
# The management pack holds a copy of this file, and fills in the parameters and the names in dollar signs.
param(
    [string]$SourceId,
    [string]$ManagedEntityId,
    [string]$ComputerName,
    [string]$Node,
    [string]$Command,
    [string]$TargetFile,
    [int]$TimeoutSeconds
)

$ErrorActionPreference = 'Stop'
$ScriptName = 'Find-PopServers.ps1'
$api = New-Object -ComObject 'MOM.ScriptAPI'

try {
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Node
    $start.Arguments = '"{0}" --targets "{1}" --discover' -f $Command, $TargetFile
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardOutput = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $reading = $process.StandardOutput.ReadToEndAsync()
    if (-not $process.WaitForExit($TimeoutSeconds * 500)) {
        $process.Kill()
        throw 'scom_pop3 did not end'
    }
    $printed = $reading.Result
    $answer = ConvertFrom-Json $printed
    # A refusal is a bag: it says what is wrong with the file.
    if ($null -eq $answer.servers) { throw "scom_pop3 named no servers: $($printed.Trim())" }

    $discovery = $api.CreateDiscoveryData(0, $SourceId, $ManagedEntityId)
    foreach ($server in @($answer.servers)) {
        $instance = $discovery.CreateClassInstance("$MPElement[Name='PopConnectivity.Server']$")
        [void]$instance.AddProperty("$MPElement[Name='Windows!Microsoft.Windows.Computer']/PrincipalName$", $ComputerName)
        [void]$instance.AddProperty("$MPElement[Name='PopConnectivity.Server']/Server$", [string]$server)
        [void]$instance.AddProperty("$MPElement[Name='System!System.Entity']/DisplayName$", [string]$server)
        [void]$discovery.AddInstance($instance)
    }
    $discovery
} catch {
    # Nothing is reported, for an empty report would remove the servers that are known.
    [void]$api.LogScriptEvent($ScriptName, 1002, 2, "servers not discovered: $($_.Exception.Message)")
}
