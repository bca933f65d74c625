# Turns GLSL that kernels made at run time need (ops/chain_glsl.c) into tuff_formulas.h, an
# array of its lines, so that they have the very formulas of the shaders. #include lines are
# left out: the files are in an order that makes up for them.
#
# Sets TUFF_FORMULA_DIR, where the header lies.
set(TUFF_FORMULA_DIR ${PROJECT_BINARY_DIR}/formulas)
set(formula_lines "")
foreach(name abi/elementwise.h common.glsl quotient.glsl periodic.glsl math.glsl unary.glsl
             slope.glsl two.glsl power.glsl binary.glsl)
  list(APPEND formula_files ${PROJECT_SOURCE_DIR}/shaders/${name})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${formula_files})
foreach(formula_file IN LISTS formula_files)
  file(READ ${formula_file} text)
  string(REGEX REPLACE "#include[^\n]*\n" "" text "${text}")
  string(REGEX REPLACE "[ ]*//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n\n+" "\n" text "${text}")
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\",\n    \"" text "${text}")
  string(APPEND formula_lines "    \"${text}\",\n")
endforeach()
file(CONFIGURE OUTPUT ${TUFF_FORMULA_DIR}/tuff_formulas.h @ONLY CONTENT
[[// Generated from shaders/*.glsl.
static const char *const formulas[] = {
@formula_lines@};
]])
