# One way to make each kind of target. A folder's target, its unit tests
# (tests/unit/<folder>/*_test.cc) and its fuzz targets (tests/fuzz/<folder>/*_fuzz.cc)
# come from the one call that names its sources and dependencies.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(mutua_warnings INTERFACE)
target_compile_options(mutua_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  -fstack-protector-strong
  $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)

if(MUTUA_SANITIZE)
  add_compile_options(-fsanitize=${MUTUA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MUTUA_SANITIZE})
  if(MUTUA_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(MUTUA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# mutua_library(NAME SOURCES a.cc … [DEPENDS mutua_base …] [PRIVATE_DEPENDS …] [TEST_DEPENDS …])
# DEPENDS are what the folder's public headers need; PRIVATE_DEPENDS stay inside its sources;
# TEST_DEPENDS are what its tests need besides.
function(mutua_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS;TEST_DEPENDS")
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_PRIVATE_DEPENDS} mutua_warnings)
  mutua_tests_of(${name} ${arg_TEST_DEPENDS})
endfunction()

# mutua_program(NAME SOURCES main.cc … DEPENDS …)
function(mutua_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} mutua_warnings)
endfunction()

# mutua_kernel_program(TARGET NAME): what of TARGET runs in the host's kernel. NAME.bpf.c, which shares
# NAME_maps.h with TARGET, is compiled for the kernel's own machine, with type information, so that one
# object fits every kernel (CO-RE). TARGET includes it as NAME.skel.h, the object in its bytes.
function(mutua_kernel_program target name)
  find_program(CLANG_FOR_BPF NAMES clang-14 clang REQUIRED)
  find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(
    OUTPUT ${generated}/${name}.bpf.o
    COMMAND ${CLANG_FOR_BPF} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror
            -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c -o ${generated}/${name}.bpf.o
    DEPENDS ${name}.bpf.c ${name}_maps.h VERBATIM)
  add_custom_command(
    OUTPUT ${generated}/${name}.skel.h
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$4\" > \"$3\"" sh
            ${BPFTOOL} ${generated}/${name}.bpf.o ${generated}/${name}.skel.h ${name}_bpf
    DEPENDS ${generated}/${name}.bpf.o VERBATIM)
  target_sources(${target} PRIVATE ${generated}/${name}.skel.h)
  target_include_directories(${target} SYSTEM PRIVATE ${generated})
endfunction()

function(mutua_tests_of name)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE folder)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${folder}/*_test.cc)
  if(tests)
    add_executable(${name}_test ${tests})
    target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${name}_test PRIVATE ${name} ${ARGN} mutua_warnings GTest::gmock GTest::gtest_main)
    add_test(NAME unit.${folder} COMMAND ${name}_test)
    set_tests_properties(unit.${folder} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
  file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/${folder}/*_fuzz.cc)
  foreach(source ${fuzzers})
    cmake_path(GET source STEM stem)
    add_executable(${stem} ${source})
    target_link_libraries(${stem} PRIVATE ${name} ${ARGN} mutua_warnings)
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/${folder}/${stem}_corpus)
    if(MUTUA_FUZZ)
      target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
      set(found ${CMAKE_BINARY_DIR}/corpus/${stem})  # what the run finds, beside what the tree holds
      file(MAKE_DIRECTORY ${found})
      add_test(NAME fuzz.${stem} COMMAND ${stem} -max_total_time=10 -rss_limit_mb=2048 ${found} ${corpus})
    else()
      target_sources(${stem} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_corpus.cc)
      add_test(NAME fuzz.${stem} COMMAND ${stem} ${corpus})
    endif()
    set_tests_properties(fuzz.${stem} PROPERTIES LABELS fuzz TIMEOUT 300)
  endforeach()
endfunction()
