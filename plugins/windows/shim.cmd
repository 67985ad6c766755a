@echo off
rem Runs the command of the same name beside this file: copy it as check_pop3.cmd beside check_pop3.
rem Its exit code is that of the command; 9009 means that node is not on the PATH.
setlocal DisableDelayedExpansion
node "%~dpn0" %*
exit /b %ERRORLEVEL%
