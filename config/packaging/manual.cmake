# cmake -DPROGRAM=… -DTEMPLATE=… -DOUTPUT=… … -P manual.cmake: the manual page, with the options as
# the built program lists them.
execute_process(COMMAND ${PROGRAM} --print-options-man OUTPUT_VARIABLE OPTIONS COMMAND_ERROR_IS_FATAL ANY)
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
