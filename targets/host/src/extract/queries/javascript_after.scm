(program (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant))
(program
  (export_statement
    (lexical_declaration (variable_declarator name: (identifier) @name) @definition.constant)))
(class_declaration (class_heritage (identifier) @name)) @reference.superclass
