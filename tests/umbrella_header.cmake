# Passes when gradus.h includes every one of HEADERS, each as COMPILER -MM finds it.
execute_process(COMMAND ${COMPILER} -MM ${ROOT}/gradus.h OUTPUT_VARIABLE included COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[ \\\n]+" ";" included "${included}")
list(REMOVE_ITEM HEADERS ${included})
if(HEADERS)
  message(FATAL_ERROR "gradus.h lacks ${HEADERS}\n  include them there, or mark them as internal (CMakeLists.txt)")
endif()
