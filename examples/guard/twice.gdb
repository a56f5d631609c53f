set breakpoint pending on
set print thread-events off
set print inferior-events off
set print frame-arguments none
break FwpsCompleteOperation0
commands
  silent
  up
  continue
end
run closed_meanwhile
