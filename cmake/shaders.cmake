# Turns shaders/list.txt into tuff_shaders.h (an enum of the modules, the same in every build)
# and tuff_shaders.c (their SPIR-V, or nothing for a module that this build leaves out).
#
# Sets TUFF_SHADER_DIR (where the header lies) and TUFF_SHADER_SOURCES.
set(TUFF_SHADER_DIR ${PROJECT_BINARY_DIR}/shaders)
set(TUFF_SHADER_SOURCES ${TUFF_SHADER_DIR}/tuff_shaders.c)
set(shader_list ${PROJECT_SOURCE_DIR}/shaders/list.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shader_list})

# The tools, all three from outside the system when a path is given.
if(TUFF_VULKAN)
  find_program(TUFF_GLSLANG NAMES glslangValidator glslang)
  find_program(TUFF_SPIRV_VAL spirv-val)
  find_program(TUFF_SPIRV_OPT spirv-opt)
  find_program(TUFF_PYTHON python3)
  foreach(need "TUFF_GLSLANG:glslang-tools" "TUFF_SPIRV_VAL:spirv-tools"
               "TUFF_SPIRV_OPT:spirv-tools" "TUFF_PYTHON:python3")
    string(REPLACE ":" ";" need ${need})
    list(GET need 0 var)
    list(GET need 1 package)
    if(NOT ${var})
      message(FATAL_ERROR "${var} was not found: install ${package} (tools/setup does), "
                          "or build with -DTUFF_VULKAN=OFF.")
    endif()
  endforeach()
endif()

set(embed ${PROJECT_SOURCE_DIR}/cmake/embed_shader.py)
set(embed_command ${TUFF_PYTHON} ${embed} --glslang ${TUFF_GLSLANG} --val ${TUFF_SPIRV_VAL}
  --opt ${TUFF_SPIRV_OPT} --include ${PROJECT_SOURCE_DIR}/shaders)

# Sets can_KIND to whether the tools at hand can build shaders with cooperative matrices
# (coopmat), NV's second version of them, and those of bfloat16, by trying.
function(tuff_can kind extension type)
  set(probe ${PROJECT_BINARY_DIR}/shaders/probe_${kind})
  file(WRITE ${probe}.comp "#version 450
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension ${extension} : require
layout(local_size_x = 8) in;
layout(binding = 0) buffer Y { float y[]; };
void main()
{
    coopmat<${type}, gl_ScopeSubgroup, 8, 8, gl_MatrixUseA> a =
        coopmat<${type}, gl_ScopeSubgroup, 8, 8, gl_MatrixUseA>(1.0);
    coopMatStore(a, y, 0, 8, gl_CooperativeMatrixLayoutRowMajor);
}
")
  execute_process(COMMAND ${embed_command} --target vulkan1.3 --out ${probe}.inc
    ${probe}.comp RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(can_${kind} FALSE PARENT_SCOPE)
  else()
    set(can_${kind} TRUE PARENT_SCOPE)
  endif()
endfunction()

set(lines "")
if(EXISTS ${shader_list})
  file(STRINGS ${shader_list} lines)
endif()
set(enum_text "")
set(words_text "")
set(table_text "")
set(left_out "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "#.*" "" line "${line}")
  separate_arguments(words UNIX_COMMAND "${line}")
  if(NOT words)
    continue()
  endif()

  set(target vulkan1.1)
  set(needs "")
  set(passes "")
  while(words MATCHES "^(coopmat2?|bfloat16|variables|target=[a-z0-9.]+)(;|$)")
    set(word ${CMAKE_MATCH_1})
    if(word MATCHES "^(coopmat2?|bfloat16)$")
      set(needs ${word})
      set(target vulkan1.3)
    elseif(word STREQUAL variables)
      set(passes --variables)
    else()
      string(REPLACE "target=" "" target ${word})
    endif()
    list(POP_FRONT words)
  endwhile()
  list(LENGTH words count)
  if(count LESS 2)
    message(FATAL_ERROR "shaders/list.txt: '${line}' lacks a file, expected NAME FILE.comp")
  endif()
  list(POP_FRONT words name file)
  foreach(flag IN LISTS words)
    if(NOT flag MATCHES "^-D[A-Za-z_]")
      message(FATAL_ERROR "shaders/list.txt: ${name}: '${flag}' is no -DNAME or -DNAME=VALUE")
    endif()
  endforeach()
  if(NOT name MATCHES "^[a-z][a-z0-9_]*$" OR "TUFF_SHADER_${name}," IN_LIST enum_text)
    message(FATAL_ERROR "shaders/list.txt: module name '${name}' is taken or is not a-z0-9_")
  endif()
  set(source ${PROJECT_SOURCE_DIR}/shaders/${file})
  if(NOT EXISTS ${source})
    message(FATAL_ERROR "shaders/list.txt: ${name}: there is no shaders/${file}")
  endif()

  list(APPEND enum_text "TUFF_SHADER_${name},")
  set(build ${TUFF_VULKAN})
  if(build AND needs)
    if(NOT DEFINED can_coopmat)
      tuff_can(coopmat GL_EXT_shader_explicit_arithmetic_types_float16 float16_t)
      tuff_can(coopmat2 GL_NV_cooperative_matrix2 float)
      tuff_can(bfloat16 GL_EXT_bfloat16 bfloat16_t)
    endif()
    set(build ${can_${needs}})
  endif()
  if(build)
    set(out ${TUFF_SHADER_DIR}/${name}.inc)
    add_custom_command(OUTPUT ${out}
      COMMAND ${embed_command} --target ${target} --out ${out}
              --depfile ${out}.d ${passes} ${source} -- ${words}
      DEPENDS ${source} ${embed} ${TUFF_GLSLANG}
      DEPFILE ${out}.d
      COMMENT "Shader ${name}" VERBATIM)
    list(APPEND TUFF_SHADER_SOURCES ${out})
    string(APPEND words_text
      "static const unsigned ${name}[] = {\n#include \"${name}.inc\"\n};\n")
    list(APPEND table_text "    { \"${name}\", ${name}, sizeof ${name} },")
  else()
    list(APPEND table_text "    { \"${name}\", NULL, 0 },")
    if(TUFF_VULKAN)
      list(APPEND left_out ${name})
    endif()
  endif()
endforeach()
if(left_out)
  string(REPLACE ";" " " left_out "${left_out}")
  message(STATUS "Left out, ${TUFF_GLSLANG} or spirv-tools is too old for it: ${left_out}")
endif()

list(JOIN enum_text "\n    " enum_text)
list(JOIN table_text "\n" table_text)
file(CONFIGURE OUTPUT ${TUFF_SHADER_DIR}/tuff_shaders.h @ONLY CONTENT
[[// Generated from shaders/list.txt. One entry per SPIR-V module.
#ifndef TUFF_SHADERS_H
#define TUFF_SHADERS_H

enum {
    @enum_text@
    TUFF_SHADER_COUNT
};

struct tuff_shader_code {
    const char *name;
    const unsigned *packed; // as embed_shader.py does; NULL when this build leaves it out
    unsigned long bytes;    // in `packed`
};

// One entry more than there are modules, all zero, so that an empty list is valid C.
extern const struct tuff_shader_code tuff_shader_codes[TUFF_SHADER_COUNT + 1];

#endif
]])
file(CONFIGURE OUTPUT ${TUFF_SHADER_DIR}/tuff_shaders.c @ONLY CONTENT
[[// Generated from shaders/list.txt.
#include "tuff_shaders.h"
#include <stddef.h>

@words_text@
const struct tuff_shader_code tuff_shader_codes[TUFF_SHADER_COUNT + 1] = {
@table_text@
    { NULL, NULL, 0 }
};
]])
