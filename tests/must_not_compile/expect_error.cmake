# Compiles FILE with COMPILER (a list: the compiler and its flags) and passes when that fails with the text given in the
# first line of the file: "// expect: TEXT".
file(STRINGS ${FILE} first_line LIMIT_COUNT 1)
if(NOT first_line MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${FILE}: the first line must be '// expect: ' and a part of the compiler's message")
endif()
set(expected "${CMAKE_MATCH_1}")

execute_process(COMMAND ${COMPILER} -fsyntax-only ${FILE} RESULT_VARIABLE status ERROR_VARIABLE messages)
if(status EQUAL 0)
  message(FATAL_ERROR "${FILE}: compiles, but must not: ${expected}")
endif()
string(FIND "${messages}" "${expected}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "${FILE}: fails to compile, but not with '${expected}':\n${messages}")
endif()
