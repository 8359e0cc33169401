# rosidl writes the include folders of Python and NumPy, as they are on this machine, into the target that a package
# exports. Two things go wrong with that, both mended just before CMake generates:
# - The ROS wheels of PyPI name folders of the machine that built them, and CMake refuses folders that do not exist.
# - Our own would name ours, and CMake refuses a folder inside the source folder (a .venv there).
function(mend_include_folders)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders)
      set(existing)
      foreach(folder IN LISTS folders)
        if(EXISTS "${folder}" OR folder MATCHES "^\\$<")
          list(APPEND existing "${folder}")
        endif()
      endforeach()
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
    endif()
  endforeach()
  set_target_properties(${PROJECT_NAME}__rosidl_generator_py PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
endfunction()

cmake_language(DEFER CALL mend_include_folders)
