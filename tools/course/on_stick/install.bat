@echo off
rem Installs the course from this folder, with no network: install.bat [FOLDER]
rem With another Python than the newest: set PYTHON=C:\path\to\python.exe
setlocal
where /q py && (set "FOUND=py") || (set "FOUND=python")
if not defined PYTHON set "PYTHON=%FOUND%"
"%PYTHON%" "%~dp0install.py" %*
set "STATUS=%ERRORLEVEL%"
if "%~1"=="" pause
exit /b %STATUS%
