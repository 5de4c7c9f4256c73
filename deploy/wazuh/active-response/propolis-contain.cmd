@echo off
rem wazuh-execd starts files by CreateProcess, which takes no .ps1: this hands its standard input and output on.
rem The API calls it as "!propolis-contain.cmd". It takes no arguments, and none are passed on. Untested on the product.
"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive -ExecutionPolicy RemoteSigned -File "%~dp0propolis-contain.ps1"
