# glslang's and SPIRV-Tools' libraries, for kernels that are given as GLSL at run time. Both are
# C++ inside and are used through their C interfaces, so the C++ runtime is linked by name and
# the project stays one of C.
#
# Sets TUFF_GLSL_LIBRARIES, empty where GLSL is not compiled at run time. With TUFF_RUNTIME_GLSL
# AUTO that is so when they are not there, or there is no Vulkan to run what comes of it.
set(TUFF_GLSL_LIBRARIES "")
if(TUFF_VULKAN AND NOT TUFF_RUNTIME_GLSL STREQUAL "OFF")
  # In one archive from glslang 14 on, in many before.
  set(found "")
  foreach(name glslang-default-resource-limits glslang MachineIndependent GenericCodeGen
               OSDependent OGLCompiler SPIRV SPIRV-Tools-opt SPIRV-Tools)
    find_library(TUFF_GLSL_${name} ${name})
    mark_as_advanced(TUFF_GLSL_${name})
    if(TUFF_GLSL_${name})
      list(APPEND found ${TUFF_GLSL_${name}})
    endif()
  endforeach()

  include(CheckCSourceCompiles)
  if(found)
    # The archives refer to each other in both directions.
    set(found -Wl,--start-group ${found} -Wl,--end-group stdc++)
    set(CMAKE_REQUIRED_LIBRARIES ${found} Threads::Threads m)
    check_c_source_compiles("
#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>
#include <spirv-tools/libspirv.h>
int main(void)
{
    glslang_spv_options_t options = { .validate = 0 };
    glslang_program_SPIRV_generate_with_options(0, GLSLANG_STAGE_COMPUTE, &options);
    return glslang_default_resource() == 0 || spvContextCreate(SPV_ENV_VULKAN_1_1) == 0;
}" TUFF_GLSL_LINKS)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(TUFF_GLSL_LINKS)
      set(TUFF_GLSL_LIBRARIES ${found})
    else()
      unset(TUFF_GLSL_LINKS CACHE) # what is missing may be installed before the next try
    endif()
  endif()

  if(NOT TUFF_GLSL_LIBRARIES)
    set(why "glslang's or SPIRV-Tools' libraries were not found: install glslang-dev and "
            "spirv-tools (tools/setup does)")
    string(JOIN "" why ${why})
    if(TUFF_RUNTIME_GLSL STREQUAL "ON")
      message(FATAL_ERROR "${why}, or build with -DTUFF_RUNTIME_GLSL=OFF.")
    endif()
    message(STATUS "Kernels are not compiled at run time, ${why}")
  endif()
endif()
