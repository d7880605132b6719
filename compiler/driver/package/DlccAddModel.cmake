# dlcc_add_model(NAME MODEL.dl [DEFINES name=value...] [OPTIONS option...])
#
# Compiles MODEL.dl and gives a library target NAME: link it, and include "MODEL.h". DEFINES set hyper-parameters
# (-D), OPTIONS go to dlcc as they are, e.g. --cpu=x86-64-v3. The model is compiled anew when the file, a file that
# it imports, or the compiler changes.
function(dlcc_add_model name model)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "DEFINES;OPTIONS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "dlcc_add_model(${name}): what is \"${arg_UNPARSED_ARGUMENTS}\"?")
    endif()
    cmake_path(ABSOLUTE_PATH model)
    cmake_path(GET model STEM stem)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.dlcc)
    set(object ${folder}/${stem}.o)
    set(header ${folder}/${stem}.h)
    set(options ${arg_OPTIONS})
    foreach(define IN LISTS arg_DEFINES)
        list(APPEND options -D ${define})
    endforeach()

    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${object} ${header}
        COMMAND dlcc::dlcc ${model} ${options} -o ${object} -o ${header} -MF ${folder}/${stem}.d
        DEPENDS ${model} dlcc::dlcc
        DEPFILE ${folder}/${stem}.d
        COMMENT "Compiling model ${stem}"
        VERBATIM)
    add_library(${name} STATIC ${object} ${header})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(${name} PUBLIC ${folder})
    target_link_libraries(${name} PUBLIC dlcc::dlrt)
endfunction()
