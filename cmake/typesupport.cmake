# ROS opens the type support of the middleware by its name, on LD_LIBRARY_PATH. A virtual environment over a sourced ROS is
# not on it: there, the Python extension brings the libraries along, although it calls nothing in them.
function(link_typesupport)
  foreach(typesupport rosidl_typesupport_fastrtps_c rosidl_typesupport_introspection_c)
    if(TARGET ${PROJECT_NAME}__${typesupport})
      target_link_options(${PROJECT_NAME}_s__rosidl_typesupport_c PRIVATE LINKER:--no-as-needed)
      target_link_libraries(${PROJECT_NAME}_s__rosidl_typesupport_c PRIVATE ${PROJECT_NAME}__${typesupport})
    endif()
  endforeach()
endfunction()
