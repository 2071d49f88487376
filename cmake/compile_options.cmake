# How everything in this project is compiled. Nothing here reaches users of the library: public headers hold no type whose
# layout depends on these flags.
include(CheckCXXCompilerFlag)

set(GRADUS_ISA_FLAGS "")
if(GRADUS_NATIVE)
  check_cxx_compiler_flag(-march=native GRADUS_HAS_MARCH_NATIVE)
  if(GRADUS_HAS_MARCH_NATIVE)
    set(GRADUS_ISA_FLAGS -march=native)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(GRADUS_ISA_FLAGS -march=x86-64-v3)
endif()

# No fast-math: results must not depend on how the compiler regroups sums or contracts products
# (docs/adr/0004-threads-and-determinism.md). The flags here only drop errno and floating-point traps, which nobody reads.
set(GRADUS_MATH_FLAGS -fno-math-errno -fno-trapping-math -ffp-contract=off -fopenmp-simd)

set(GRADUS_WARNING_FLAGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast)
if(GRADUS_WERROR)
  list(APPEND GRADUS_WARNING_FLAGS -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # False alarms of GCC 12: "text" + string (GCC bug 105651), and the inlined parser of fmt.
    list(APPEND GRADUS_WARNING_FLAGS -Wno-error=restrict -Wno-error=stringop-overflow)
  endif()
endif()

function(gradus_compile_options target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_compile_options(${target} PRIVATE ${GRADUS_ISA_FLAGS} ${GRADUS_MATH_FLAGS} ${GRADUS_WARNING_FLAGS})
  target_compile_definitions(${target} PRIVATE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
endfunction()

# For core/version.cpp.
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
list(JOIN GRADUS_MATH_FLAGS " " GRADUS_FLAGS_TEXT)
string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}} ${GRADUS_FLAGS_TEXT}" GRADUS_FLAGS_TEXT)
list(JOIN GRADUS_ISA_FLAGS " " GRADUS_ISA_TEXT)
if(NOT GRADUS_ISA_TEXT)
  set(GRADUS_ISA_TEXT "the compiler's default")
elseif(GRADUS_NATIVE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -march=native -Q --help=target OUTPUT_VARIABLE target ERROR_QUIET)
  if(target MATCHES "-march=[ \t]+([^ \t\n]+)")
    string(APPEND GRADUS_ISA_TEXT " (${CMAKE_MATCH_1})")
  endif()
endif()
