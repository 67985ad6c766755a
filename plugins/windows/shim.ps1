# Runs the command of the same name beside this file: copy it as check_pop3.ps1 beside check_pop3.
# Its exit code is that of the command.
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8
$command = Join-Path $PSScriptRoot ([System.IO.Path]::GetFileNameWithoutExtension($PSCommandPath))
if (-not (Get-Command node -ErrorAction SilentlyContinue)) {
    Write-Output 'POP3 UNKNOWN - node is not on the PATH: install Node.js 20.19 or later'
    exit 3
}
& node $command @args
exit $LASTEXITCODE
