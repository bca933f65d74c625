// See compile.h. glslang and SPIRV-Tools are C++ inside; only their C interfaces are seen, here
// and nowhere else. Debian 12's SPIRV-Tools has no C interface to its optimizer yet: glslang
// calls it, which is the same passes.
#include "glsl/compile.h"

#ifdef TUFF_RUNTIME_GLSL
#include "base/alloc.h"
#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>
#include <pthread.h>
#include <spirv-tools/libspirv.h>
#include <stdlib.h>
#include <string.h>

// glslang's tables of built-in functions are the process's and stay: to make them takes 0.05 s,
// a small kernel after that some milliseconds.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool begun;

static const char preamble[] =
    "#define TUFF_INDEX ((gl_WorkGroupID.x + gl_NumWorkGroups.x * (gl_WorkGroupID.y + "
    "gl_NumWorkGroups.y * gl_WorkGroupID.z)) * (gl_WorkGroupSize.x * gl_WorkGroupSize.y * "
    "gl_WorkGroupSize.z) + gl_LocalInvocationIndex)\n";

bool tuff_compiler_there(void) { return true; }

// ---- errors --------------------------------------------------------------------------------

// The first error of a log such as "ERROR: 0:4: 'floot' : undeclared identifier \n...", with
// the file's name in the place of the source string's number.
static tuff_status log_error(const char *file, const char *log)
{
    static const char mark[] = "ERROR: ";
    const char *at = log ? strstr(log, mark) : NULL;
    if (!at) return tuff_fail(TUFF_ERR_FORMAT, "%s: it does not compile", file);
    at += sizeof mark - 1;
    const char *colon = at + strspn(at, "0123456789");
    char *after;
    const long line = *colon == ':' ? strtol(colon + 1, &after, 10) : 0;
    const bool has_line = *colon == ':' && after > colon + 1 && *after == ':';
    const char *text = has_line ? after + 1 : at;
    text += strspn(text, " ");
    size_t n = strcspn(text, "\n");
    while (n > 0 && text[n - 1] == ' ') n--;
    const int length = n > 300 ? 300 : (int)n;
    if (!has_line) return tuff_fail(TUFF_ERR_FORMAT, "%s: %.*s", file, length, text);
    return tuff_fail(TUFF_ERR_FORMAT, "%s:%ld: %.*s", file, line, length, text);
}

// ---- compiling -----------------------------------------------------------------------------

static glslang_input_t input_of(const char *source)
{
    glslang_input_t in;
    memset(&in, 0, sizeof in); // its members differ from version to version
    in.language = GLSLANG_SOURCE_GLSL;
    in.stage = GLSLANG_STAGE_COMPUTE;
    in.client = GLSLANG_CLIENT_VULKAN;
    in.client_version = GLSLANG_TARGET_VULKAN_1_1;
    in.target_language = GLSLANG_TARGET_SPV;
    in.target_language_version = GLSLANG_TARGET_SPV_1_3;
    in.code = source;
    in.default_version = 450;
    in.default_profile = GLSLANG_NO_PROFILE;
    in.messages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT;
    in.resource = glslang_default_resource();
    return in;
}

static tuff_status take_words(const char *file, glslang_program_t *program, uint32_t **words,
                              size_t *bytes)
{
    glslang_spv_options_t options;
    memset(&options, 0, sizeof options);
    glslang_program_SPIRV_generate_with_options(program, GLSLANG_STAGE_COMPUTE, &options);
    *bytes = glslang_program_SPIRV_get_size(program) * sizeof **words;
    TUFF_REQUIRE(*bytes, FORMAT, "%s: no code came of it", file);
    *words = tuff_alloc(1, *bytes);
    if (!*words) return TUFF_ERR_MEMORY;
    memcpy(*words, glslang_program_SPIRV_get_ptr(program), *bytes);
    return TUFF_OK;
}

static tuff_status compile(const char *file, const char *source, uint32_t **words,
                           size_t *bytes)
{
    const glslang_input_t in = input_of(source);
    tuff_status status = TUFF_ERR_MEMORY;
    glslang_program_t *program = NULL;
    glslang_shader_t *shader = glslang_shader_create(&in);
    if (!shader) goto exit;
    glslang_shader_set_preamble(shader, preamble);
    if (!glslang_shader_preprocess(shader, &in) || !glslang_shader_parse(shader, &in)) {
        status = log_error(file, glslang_shader_get_info_log(shader));
        goto exit;
    }
    if (!(program = glslang_program_create())) goto exit;
    glslang_program_add_shader(program, shader);
    if (!glslang_program_link(program, (int)in.messages)) {
        status = log_error(file, glslang_program_get_info_log(program));
        goto exit;
    }
    status = take_words(file, program, words, bytes);
exit:
    if (program) glslang_program_delete(program);
    if (shader) glslang_shader_delete(shader);
    return status;
}

tuff_status tuff_compile_glsl(const char *file, const char *source, uint32_t **words,
                              size_t *bytes)
{
    *words = NULL;
    pthread_mutex_lock(&lock);
    begun = begun || glslang_initialize_process();
    const tuff_status status = begun ? compile(file, source, words, bytes) : TUFF_ERR_MEMORY;
    pthread_mutex_unlock(&lock);
    return status;
}

tuff_status tuff_validate_spirv(const uint32_t *words, size_t bytes)
{
    spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_1);
    if (!context) return TUFF_ERR_MEMORY;
    spv_diagnostic said = NULL;
    tuff_status status = TUFF_OK;
    if (spvValidateBinary(context, words, bytes / sizeof *words, &said) != SPV_SUCCESS)
        status = tuff_fail(TUFF_ERR_FORMAT, "its SPIR-V is not valid: %.300s",
                           said && said->error ? said->error : "no reason was given");
    spvDiagnosticDestroy(said);
    spvContextDestroy(context);
    return status;
}

#else

bool tuff_compiler_there(void) { return false; }

tuff_status tuff_compile_glsl(const char *file, const char *source, uint32_t **words,
                              size_t *bytes)
{
    (void)source;
    *words = NULL;
    *bytes = 0;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: this build of Tuff was made without its "
                     "run-time compiler and takes no GLSL; build it with "
                     "-DTUFF_RUNTIME_GLSL=ON (glslang-dev and spirv-tools), or give SPIR-V",
                     file);
}

tuff_status tuff_validate_spirv(const uint32_t *words, size_t bytes)
{
    (void)words;
    (void)bytes;
    return TUFF_OK;
}
#endif
