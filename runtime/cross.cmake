# libdlrt.a for other systems, so that dlcc --target=TRIPLE can link shared objects for them:
# -DDLCC_CROSS_RUNTIMES=aarch64-linux-gnu builds one with aarch64-linux-gnu-gcc. Several are separated by semicolons.
# Each is the runtime alone, built by this very project in a build of its own, and lies where dlcc looks for it: in
# runtime-ARCH/ of the build, in lib/dlcc/ARCH/ of the installation.
include(ExternalProject)
foreach(system IN LISTS DLCC_CROSS_RUNTIMES)
    string(REGEX REPLACE "-.*" "" arch ${system})
    find_program(DLCC_CC_${arch} ${system}-gcc)
    if(NOT DLCC_CC_${arch})
        message(FATAL_ERROR "DLCC_CROSS_RUNTIMES: there is no ${system}-gcc, which would build the runtime for ${system}")
    endif()
    set(folder ${PROJECT_BINARY_DIR}/runtime-${arch})
    ExternalProject_Add(dlrt-${arch}
        SOURCE_DIR ${PROJECT_SOURCE_DIR} PREFIX ${folder} BINARY_DIR ${folder}/build BUILD_ALWAYS ON
        CMAKE_ARGS -DDLCC_RUNTIME_ONLY=ON -DCMAKE_C_COMPILER=${DLCC_CC_${arch}} -DCMAKE_SYSTEM_NAME=Linux
            -DCMAKE_SYSTEM_PROCESSOR=${arch} -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}
            -DCMAKE_ARCHIVE_OUTPUT_DIRECTORY=${folder}
        BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target dlrt
        BUILD_BYPRODUCTS ${folder}/libdlrt.a INSTALL_COMMAND "")
    install(FILES ${folder}/libdlrt.a DESTINATION lib/dlcc/${arch})
endforeach()
